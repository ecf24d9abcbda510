import { render } from "solid-js/web";
import { applyTheme } from "./parts/theme";
import { AppProvider, createApp } from "./store/app";
import "uplot/dist/uPlot.min.css";
import "./style/base.css";
import "./style/frame.css";
import "./style/navigation.css";
import "./style/tables.css";
import "./style/forms.css";
import "./style/charts.css";
import "./style/fleet.css";
import "./style/fleet-table.css";
import "./style/device.css";
import "./style/commands.css";
import "./style/batches.css";
import "./style/alerts.css";
import "./style/topics.css";
import { Shell } from "./views/shell";

const root = document.getElementById("app");
if (root === null) throw new Error("the page has no place for the app");

applyTheme();
const app = createApp(
  new URL("./", document.baseURI),
  () => new Worker(new URL("./worker/worker.ts", import.meta.url), { type: "module" }),
);
const networkChanged = () => app.client.tell({ kind: "network", hasNetwork: navigator.onLine });
addEventListener("online", networkChanged);
addEventListener("offline", networkChanged);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) app.client.tell({ kind: "visible" });
});
app.client.start();
render(
  () => (
    <AppProvider value={app}>
      <Shell />
    </AppProvider>
  ),
  root,
);
