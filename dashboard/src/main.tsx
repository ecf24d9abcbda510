import { render } from "solid-js/web";
import { applyTheme } from "./parts/theme";
import { AppProvider, createApp } from "./store/app";
import "uplot/dist/uPlot.min.css";
import "./style/base.css";
import "./style/shell.css";
import "./style/fleet.css";
import "./style/device.css";
import { Shell } from "./views/shell";

const root = document.getElementById("app");
if (root === null) throw new Error("the page has no place for the app");

applyTheme();
const app = createApp(new URL("./", document.baseURI));
const networkChanged = () => app.client.networkChanged();
addEventListener("online", networkChanged);
addEventListener("offline", networkChanged);
document.addEventListener("visibilitychange", () => {
  // Somebody looks again: a wait that was on is not worth their time.
  const { kind } = app.state();
  if (!document.hidden && (kind === "recovering" || kind === "offline")) app.client.tryNow();
});
app.client.start();
// While developing, a new version of the page ends the connection of the old one.
import.meta.hot?.dispose(() => app.client.stop());
render(
  () => (
    <AppProvider value={app}>
      <Shell />
    </AppProvider>
  ),
  root,
);
