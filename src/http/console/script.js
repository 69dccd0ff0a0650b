// Keeps a page up to date, and says times in the reader's own zone; everything works without it.
"use strict";
(() => {
  const local = (root) => {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (!Number.isNaN(at.getTime())) {
        time.title = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" }).format(at);
      }
    }
  };
  local(document);

  const follow = document.body.dataset.live;
  if (!follow || !window.EventSource) return;

  // Nobody's half-written note or opened detail is taken away.
  const isBusy = () => {
    const main = document.getElementById("content");
    const focused = document.activeElement;
    if (focused && focused !== document.body && main.contains(focused) && focused.matches("input, select, textarea, button, summary")) return true;
    if (main.querySelector("details[open]")) return true;
    return [...main.querySelectorAll("input, select, textarea")].some((field) =>
      field.matches("[type=checkbox], [type=radio]") ? field.checked !== field.defaultChecked : field.defaultValue !== undefined && field.value !== field.defaultValue);
  };

  let stamp = null;
  let waiting = false;
  const readAnew = async () => {
    if (waiting) return;
    waiting = true;
    try {
      while (isBusy() || document.hidden) await new Promise((done) => setTimeout(done, 1000));
      const answer = await fetch(location.href.replace(/([?&])said=[^&#]*/, "$1"), { headers: { accept: "text/html", "x-by-itself": "1" } });
      if (!answer.ok || answer.redirected) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("content");
      const shown = document.getElementById("content");
      if (fresh && !isBusy() && fresh.innerHTML !== shown.innerHTML) {
        local(fresh);
        shown.replaceChildren(...fresh.childNodes);
      }
    } catch {
      // The service is away for a moment; the next event reads anew.
    } finally {
      waiting = false;
    }
  };

  const events = new EventSource(follow);
  events.addEventListener("stamp", (event) => {
    const isFirst = stamp === null;
    const moved = stamp !== event.data;
    stamp = event.data;
    if (!isFirst && moved) readAnew();
  });
})();
