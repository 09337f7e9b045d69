/* Makes the review screens quicker; all of them work without it.
   Decisions are sent as they are made, one after the other, since each raises the changeset's revision. */
(function () {
  "use strict";

  const root = document.querySelector(".ds-root");
  if (!root) {
    return;
  }
  document.documentElement.classList.add("ds-js");

  // Decisions

  const words = root.querySelector("[data-ds-messages]");
  const message = (name) => (words && words.dataset[name]) || "";
  const status = root.querySelector(".ds-status");
  let queue = Promise.resolve();

  function say(text, isError) {
    if (status) {
      status.textContent = text;
      status.classList.toggle("ds-is-error", Boolean(isError));
    }
  }

  function showProgress(progress) {
    for (const input of root.querySelectorAll("input[name=revision]")) {
      input.value = progress.revision;
    }
    for (const [decision, count] of Object.entries(progress.decisions)) {
      for (const place of root.querySelectorAll(`[data-ds-decision="${decision}"]`)) {
        place.textContent = count;
      }
    }
    for (const place of root.querySelectorAll("[data-ds-decided]")) {
      const undecided = progress.undecided[place.dataset.dsDecided];
      if (undecided !== undefined) {
        place.textContent = place.dataset.total - undecided;
      }
    }
    for (const place of root.querySelectorAll("[data-ds-done]")) {
      place.hidden = progress.undecided[place.dataset.dsDone] !== 0;
    }
    retireBulk();
  }

  // Where decisions are what is filtered, each one alters how many "all matching" are: ask for a new page.
  function retireBulk() {
    const bulk = root.querySelector(".ds-bulk");
    if (!bulk || !bulk.querySelector("input[name=decision]")) {
      return;
    }
    const link = document.createElement("a");
    link.href = window.location.pathname + window.location.search;
    link.textContent = message("reload");
    bulk.replaceWith(link);
  }

  async function send(form, decision) {
    const body = new FormData(form);
    body.set("decide", decision);
    const response = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
    const isJson = (response.headers.get("Content-Type") || "").startsWith("application/json");
    if (!isJson) {
      throw new Error(response.redirected ? message("session") : message("failed"));
    }
    const answer = await response.json();
    if (!response.ok) {
      throw new Error(answer.error);
    }
    return answer;
  }

  function showError(form, decision, text) {
    clearError(form);
    const line = document.createElement("span");
    line.className = "ds-card-error";
    line.textContent = text + " ";
    const again = document.createElement("button");
    again.type = "button";
    again.className = "button";
    again.textContent = message("retry");
    again.addEventListener("click", () => {
      form.elements.decide.value = decision;
      decide(form, decision);
    });
    line.append(again);
    form.append(line);
    say(text, true);
  }

  function clearError(form) {
    const line = form.querySelector(".ds-card-error");
    if (line) {
      line.remove();
    }
  }

  function decide(form, decision) {
    const card = form.closest(".ds-card");
    queue = queue.then(async () => {
      try {
        showProgress(await send(form, decision));
        card.dataset.decision = decision;
        clearError(form);
        say(`#${form.elements.number.value} ${message(decision)}`);
      } catch (error) {
        form.elements.decide.value = card.dataset.decision;
        showError(form, decision, error.message || message("failed"));
      }
    });
  }

  root.addEventListener("change", (event) => {
    const form = event.target.closest("form.ds-decision");
    if (form && event.target.name === "decide") {
      decide(form, event.target.value);
    }
  });

  // Buttons that start something long are pressed once.

  root.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-ds-once]");
    if (!form) {
      return;
    }
    if (form.dataset.dsSent) {
      event.preventDefault();
      return;
    }
    form.dataset.dsSent = "1";
    if (event.submitter) {
      event.submitter.textContent = form.dataset.dsOnce;
    }
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) {
      window.location.reload();
    }
  });

  // A card that the address names is shown and focused.

  const target = /^#change-\d+$/.test(window.location.hash) && document.querySelector(window.location.hash);
  if (target) {
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: "start" });
  }

  // Progress: asked for every second at first, then less often, and not while nobody looks.

  const progress = root.querySelector("[data-ds-poll]");
  let wait = 1000;
  let timer = 0;

  async function poll() {
    timer = 0;
    try {
      const response = await fetch(progress.dataset.dsPoll, { headers: { Accept: "application/json" } });
      const state = await response.json();
      if (!state.active) {
        window.location.reload();
        return;
      }
      const line = progress.querySelector("[data-ds-words]");
      if (line.textContent !== state.words) {
        line.textContent = state.words;
      }
      if (state.max && state.value) {
        const bar = progress.querySelector("progress");
        bar.max = state.max;
        bar.value = state.value;
      }
    } catch {
      // The next attempt, or the Refresh link, tells.
    }
    wait = Math.min(wait * 1.5, 5000);
    schedule();
  }

  function schedule() {
    if (!timer && !document.hidden) {
      timer = window.setTimeout(poll, wait);
    }
  }

  if (progress) {
    schedule();
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) {
        window.clearTimeout(timer);
        timer = 0;
      } else {
        wait = 1000;
        schedule();
      }
    });
  }
})();
