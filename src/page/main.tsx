import "./style/page.css";
import { render } from "preact";
import { followAddress } from "./route.ts";
import { Shell } from "./shell.tsx";

followAddress();
const place = document.getElementById("page");
if (place !== null) render(<Shell />, place);
