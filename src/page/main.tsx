import "./style/page.css";
import { render } from "preact";
import { followKeys } from "./keys.ts";
import { connection } from "./client/dewey.ts";
import { enterByCode } from "./client/session.ts";
import { followAddress } from "./route.ts";
import { Shell } from "./shell.tsx";

void enterByCode(() => connection.connect());
followAddress();
followKeys();
const place = document.getElementById("page");
if (place !== null) render(<Shell />, place);
