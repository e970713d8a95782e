// Keeps an open page as it would be if it were loaded now. Everything works without this file.
"use strict";

(() => {
  const main = document.querySelector("main[data-live]");
  if (!main || !window.EventSource) return;

  // How long to wait before a broken stream is opened again, in milliseconds.
  const RETRY_MS = 5000;
  // How often a page is asked for anew although nothing has happened: it says how long that is so.
  const REFRESH_MS = 60000;
  const told = document.getElementById("told");
  let asking = false;
  let again = false;
  let stream = null;

  const isBusy = (part) => part.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");

  // Puts the new page's parts in the place of the old ones; what was opened stays open, and the focus stays.
  const swap = (page) => {
    let said = "";
    for (const old of document.querySelectorAll("[data-swap]")) {
      const fresh = page.getElementById(old.id);
      if (!fresh || isBusy(old) || fresh.outerHTML === old.dataset.was) continue;
      const was = fresh.outerHTML;
      if (fresh.dataset.told && fresh.dataset.told !== old.dataset.told) said = fresh.dataset.told;
      for (const details of old.querySelectorAll("details[open][id]")) {
        const same = fresh.querySelector(`#${CSS.escape(details.id)}`);
        if (same) same.open = true;
      }
      const focused = old.contains(document.activeElement) ? document.activeElement : null;
      const place = focused && (focused.id ? `#${CSS.escape(focused.id)}` : focused.getAttribute("href") ? `a[href="${CSS.escape(focused.getAttribute("href"))}"]` : null);
      const node = document.importNode(fresh, true);
      node.dataset.was = was;
      old.replaceWith(node);
      if (place) node.querySelector(place)?.focus({ preventScroll: true });
    }
    if (said && told) told.textContent = said;
  };

  const ask = async () => {
    if (asking || document.hidden) {
      again = true;
      return;
    }
    asking = true;
    again = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
      if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      // The server is away: the stream is opened again by and by, and then the page is asked for anew.
    }
    asking = false;
    if (again) ask();
  };

  const follow = () => {
    stream = new EventSource(main.dataset.live);
    stream.addEventListener("changed", ask);
    stream.addEventListener("error", () => {
      if (stream.readyState === EventSource.CLOSED) setTimeout(follow, RETRY_MS);
    });
  };

  follow();
  setInterval(ask, REFRESH_MS);
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => {
    if (event.persisted) follow();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && again) ask();
  });
})();
