import { mount } from "svelte";
import "./style/font.css";
import "./style/tokens.css";
import "./style/base.css";
import "./style/controls.css";
import "./style/view.css";
import "uplot/dist/uPlot.min.css";
import App from "./App.svelte";

mount(App, { target: document.getElementById("app")! });
