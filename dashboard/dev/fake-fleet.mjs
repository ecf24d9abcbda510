// Made-up devices for the fake gateway: what they measure and how they take commands.

const kinds = [
  {
    type: "thermostat",
    share: 0.4,
    start: () => ({
      temperature: 18 + Math.random() * 6,
      humidity: 35 + Math.random() * 25,
      target: 21,
      heating: false,
    }),
    step: (v) => {
      v.heating = v.temperature < v.target - 0.2 || (v.heating && v.temperature < v.target + 0.2);
      v.temperature = round(v.temperature + (v.heating ? 0.08 : -0.06) + noise(0.05), 2);
      v.humidity = round(clamp(v.humidity + noise(0.4), 20, 80), 1);
    },
    apply: (v, { name, params }) => {
      if (name === "set_target") v.target = Number(params.temperature ?? v.target);
    },
  },
  {
    type: "pump",
    share: 0.3,
    start: () => ({ rpm: 1450, pressure: 3.2, flow: 12, valve: 80 }),
    step: (v) => {
      v.rpm = Math.round(clamp(v.rpm + noise(25), 0, 3000));
      v.pressure = round(clamp((v.rpm / 1450) ** 2 * 3.2 + noise(0.08), 0, 12), 2);
      v.flow = round((v.rpm / 1450) * (v.valve / 100) * 15 + noise(0.2), 1);
    },
    apply: (v, { name, params }) => {
      if (name === "set_speed") v.rpm = Number(params.rpm ?? v.rpm);
      if (name === "set_valve") v.valve = Number(params.percent ?? v.valve);
    },
  },
  {
    type: "tracker",
    share: 0.3,
    start: () => ({
      lat: 52.5 + noise(0.1),
      lon: 13.4 + noise(0.2),
      speed: 30,
      battery: 40 + Math.random() * 60,
    }),
    step: (v) => {
      v.speed = round(clamp(v.speed + noise(4), 0, 90), 1);
      v.lat = round(v.lat + noise(0.0006), 5);
      v.lon = round(v.lon + noise(0.0006), 5);
      v.battery = round(clamp(v.battery - 0.01, 0, 100), 1);
    },
    apply: () => {},
  },
];

const sites = ["north", "south", "harbour", "depot"];

/** Makes `count` devices: id, type, tags and a way to move them on. */
export function makeFleet(count) {
  const fleet = [];
  for (const [index, kind] of kinds.entries()) {
    const last = index === kinds.length - 1;
    const many = last ? count - fleet.length : Math.round(count * kind.share);
    for (let n = 1; n <= many; n += 1) fleet.push(makeDevice(kind, n));
  }
  return fleet;
}

function makeDevice(kind, n) {
  const values = kind.start();
  kind.step(values);
  return {
    id: `${kind.type}-${String(n).padStart(3, "0")}`,
    type: kind.type,
    tags: { site: sites[n % sites.length] },
    values,
    online: Math.random() > 0.08,
    since: Date.now() - Math.round(Math.random() * 7_200_000),
    seenAt: Date.now() - Math.round(Math.random() * 60_000),
    step: () => kind.step(values),
    apply: (command) => kind.apply(values, command),
  };
}

function noise(size) {
  return (Math.random() - 0.5) * 2 * size;
}

function clamp(value, least, most) {
  return Math.min(most, Math.max(least, value));
}

function round(value, digits) {
  return Number(value.toFixed(digits));
}
