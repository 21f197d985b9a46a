import { render } from "preact";
import { followKeys } from "./keys.ts";
import { followAddress } from "./route.ts";
import { Shell } from "./shell.tsx";

followAddress();
followKeys();
const place = document.getElementById("page");
if (place !== null) render(<Shell />, place);
