// Requests and the stream of events.
import { reason } from "./words.js";

/** What the server said was wrong. */
export class Refused extends Error {
  constructor(status, refusal) {
    const [what, hint] = reason(refusal);
    super(what || `HTTP ${status}`);
    this.status = status;
    this.hint = hint;
  }
}

async function answer(reply) {
  const value = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Refused(reply.status, value);
  return value;
}

export const get = async (path) => answer(await fetch(path, { cache: "no-store" }));
export const post = async (path, body) => answer(await fetch(path, {
  method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
}));

/** Follows a job and the class until it is closed. `handlers`: job(messages), class(view), you(view), lost(), back(). */
export function follow(path, handlers) {
  let source = null, closed = false, retry = null, over = false;
  const open = () => {
    source = new EventSource(path());
    source.addEventListener("open", () => handlers.back?.());
    source.addEventListener("job", (event) => {
      const messages = JSON.parse(event.data);
      over ||= messages.some((message) => message.type === "end");
      handlers.job?.(messages);
    });
    source.addEventListener("class", (event) => handlers.class?.(JSON.parse(event.data)));
    source.addEventListener("you", (event) => handlers.you?.(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      handlers.lost?.(over);
      // One that was refused does not try again by itself.
      if (source.readyState === EventSource.CLOSED && !closed && !over) retry = setTimeout(open, 2000);
    });
  };
  open();
  return { close() { closed = true; clearTimeout(retry); source.close(); } };
}
