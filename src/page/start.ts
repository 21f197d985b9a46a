import "./style/page.css";
import { connection } from "./client/dewey.ts";
import { enterByCode } from "./client/session.ts";
import { beginTalk } from "./client/talk.ts";
import { talkAt } from "./talk-address.ts";

// What runs first: it connects, and asks for the conversation that the address names, while the browser still reads the views.

void enterByCode(() => connection.connect());
const asked = talkAt();
if (asked !== undefined) beginTalk(asked);
