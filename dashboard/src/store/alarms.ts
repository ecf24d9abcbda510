// Says aloud that an alert was raised: a sound and the browser's own notice, where a person wants them.
import { type Accessor, createSignal } from "solid-js";
import type { Alert } from "../generated/protocol";
import { deviceHref } from "../router";
import { readChoice, writeChoice } from "./choices";

/** Between two sounds, and between two alerts that are read aloud, however many come. */
const quietMs = 3_000;
const pitches = { info: [660], warning: [660, 660], critical: [880, 660, 880] } as const;
const toneS = 0.14;

/** Whether and how alerts are told aloud. */
export interface Alarms {
  readonly hasSound: Accessor<boolean>;
  readonly setSound: (on: boolean) => void;
  /** `blocked`: the browser was told never to ask. */
  readonly notices: Accessor<"on" | "off" | "blocked">;
  readonly setNotices: (on: boolean) => Promise<void>;
  readonly ring: (alert: Alert) => void;
  /**
   * The newest alert that was raised while the page was open, for those who listen rather than look: of a storm only
   * as many as can be followed.
   */
  readonly newest: Accessor<Alert | null>;
}

/** Makes them, as they were chosen last time. */
export function createAlarms(): Alarms {
  const [hasSound, setSound] = createSignal(readChoice("sound") === "on");
  const [wantsNotices, setWants] = createSignal(readChoice("notices") === "on");
  const [permission, setPermission] = createSignal(permissionNow());
  const [newest, setNewest] = createSignal<Alert | null>(null);
  let rungAt = 0;
  let next: Alert | null = null;
  let isQuiet = true;
  const announce = () => {
    isQuiet = next === null;
    if (next === null) return;
    setNewest(next);
    next = null;
    setTimeout(announce, quietMs);
  };
  const notices = () => {
    if (permission() === "denied") return "blocked";
    return wantsNotices() && permission() === "granted" ? "on" : "off";
  };
  return {
    hasSound,
    setSound: (on) => {
      setSound(on);
      writeChoice("sound", on ? "on" : "off");
      if (on) play([660]);
    },
    notices,
    setNotices: async (on) => {
      if (on && "Notification" in globalThis) setPermission(await Notification.requestPermission());
      setWants(on);
      writeChoice("notices", on ? "on" : "off");
    },
    ring: (alert) => {
      next = alert;
      if (isQuiet) announce();
      if (hasSound() && Date.now() - rungAt > quietMs) {
        rungAt = Date.now();
        play(pitches[alert.severity]);
      }
      if (notices() === "on") notify(alert);
    },
    newest,
  };
}

function permissionNow(): NotificationPermission {
  return "Notification" in globalThis ? Notification.permission : "denied";
}

/** One notice a device and kind: the next takes its place. A phone's browser lets no page make any. */
function notify({ device, severity, code, message }: Alert): void {
  const notice = tryNotice(`${severity}: ${device}`, {
    body: message === "" ? code : message,
    tag: `${device}/${code}`,
  });
  if (notice === null) return;
  notice.onclick = () => {
    focus();
    location.hash = deviceHref(device);
    notice.close();
  };
}

function tryNotice(title: string, options: NotificationOptions): Notification | null {
  try {
    return new Notification(title, options);
  } catch {
    return null;
  }
}

let context: AudioContext | null = null;
/** Whether the browser is asked to allow sound just now. */
let isWaking = false;

/** A browser that does not allow sound yet stays silent: all that waited for it would sound at once when it does. */
function play(tones: readonly number[]): void {
  context ??= new AudioContext();
  const sounding = context;
  if (sounding.state === "running") return sound(sounding, tones);
  if (isWaking) return;
  isWaking = true;
  void sounding.resume().then(() => {
    isWaking = false;
    sound(sounding, tones);
  });
}

/** Short tones, one after the other. */
function sound(context: AudioContext, tones: readonly number[]): void {
  const begin = context.currentTime + 0.02;
  for (const [index, pitch] of tones.entries()) {
    const oscillator = context.createOscillator();
    const gain = context.createGain();
    const at = begin + index * toneS * 1.3;
    oscillator.frequency.value = pitch;
    gain.gain.setValueAtTime(0.12, at);
    gain.gain.exponentialRampToValueAtTime(0.001, at + toneS);
    oscillator.connect(gain).connect(context.destination);
    oscillator.start(at);
    oscillator.stop(at + toneS);
  }
}
