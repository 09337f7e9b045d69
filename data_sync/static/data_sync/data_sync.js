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

  function say(text) {
    if (status) {
      status.textContent = text;
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
    for (const form of root.querySelectorAll("[data-ds-undo]")) {
      form.remove(); // It was for the decision before this one.
    }
    showBulk(progress.bulk);
    // What belonged to the decision was decided alike.
    for (const [number, decision] of Object.entries(progress.also || {})) {
      const card = root.querySelector(`#change-${Number(number)}`);
      if (card) {
        card.dataset.decision = decision;
        const form = card.querySelector("form.ds-decision");
        if (form) {
          form.elements.decide.value = decision;
          clearError(form);
        }
      }
    }
  }

  // Each decision alters how many the buttons for all matching are about.
  function showBulk(texts) {
    const places = [...root.querySelectorAll(".ds-bulk button")].map((button) => [button, texts[button.value]]);
    for (const place of root.querySelectorAll("[data-ds-left-out]")) {
      places.push([place, texts.left_out]);
    }
    for (const [place, text] of places) {
      place.textContent = text;
      place.hidden = !text;
    }
  }

  // What a card offers after a failure: the same again, a fresh page, the way back in, to decide on more, or
  // nothing but the box to tick.
  class Refusal extends Error {
    constructor(text, remedy, together) {
      super(text);
      this.remedy = remedy;
      this.together = together;
    }
  }

  async function send(form, decision, withRequirements) {
    const body = new FormData(form);
    body.set("decide", decision);
    if (withRequirements) {
      body.set("with_requirements", "1");
    }
    const response = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
    const isJson = (response.headers.get("Content-Type") || "").startsWith("application/json");
    if (!isJson) {
      const isLoggedOut = response.redirected || response.status === 403;
      throw isLoggedOut ? new Refusal(message("session"), "login") : new Refusal(message("failed"), "retry");
    }
    const answer = await response.json();
    if (!response.ok) {
      throw new Refusal(answer.error, answer.remedy || "retry", answer.together);
    }
    return answer;
  }

  function showError(form, decision, text, remedy, together) {
    clearError(form);
    say("");
    const line = document.createElement("span");
    line.className = "ds-card-error";
    line.setAttribute("role", "alert");
    line.textContent = text + " ";
    for (const change of together ? together.changes : []) {
      const link = document.createElement("a");
      link.href = `?number=${change.number}#change-${change.number}`;
      link.textContent = change.words;
      line.append(link, " ");
    }
    if (remedy === "acknowledge") {
      form.elements.acknowledge.focus();
    } else {
      line.append(remedyFor(form, decision, remedy, together));
    }
    form.append(line);
  }

  function remedyFor(form, decision, remedy, together) {
    const here = window.location.pathname + window.location.search;
    if (remedy === "login") {
      const link = document.createElement("a");
      link.href = `${message("loginUrl")}?next=${encodeURIComponent(here)}`;
      link.textContent = message("login");
      return link;
    }
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button";
    if (remedy === "reload") {
      button.textContent = message("reload");
      button.addEventListener("click", () => window.location.reload());
    } else if (remedy === "together") {
      button.textContent = together.button;
      button.addEventListener("click", () => {
        form.elements.decide.value = decision;
        decide(form, decision, true);
      });
    } else {
      button.textContent = message("retry");
      button.addEventListener("click", () => {
        form.elements.decide.value = decision;
        decide(form, decision);
      });
    }
    return button;
  }

  function clearError(form) {
    const line = form.querySelector(".ds-card-error");
    if (line) {
      line.remove();
    }
  }

  function decide(form, decision, withRequirements) {
    const card = form.closest(".ds-card");
    queue = queue.then(async () => {
      try {
        showProgress(await send(form, decision, withRequirements));
        card.dataset.decision = decision;
        clearError(form);
        say(`#${form.elements.number.value} ${message(decision)}`);
      } catch (error) {
        form.elements.decide.value = card.dataset.decision;
        if (error instanceof Refusal) {
          showError(form, decision, error.message || message("failed"), error.remedy, error.together);
        } else {
          showError(form, decision, message("failed"), "retry");
        }
      }
    });
  }

  root.addEventListener("change", (event) => {
    const form = event.target.closest("form.ds-decision");
    if (!form) {
      return;
    }
    if (event.target.name === "decide") {
      decide(form, event.target.value);
    } else if (event.target.name === "rename_choice" && form.closest(".ds-card").dataset.decision === "accepted") {
      decide(form, "accepted");
    } else {
      clearError(form); // What was missing may be there now.
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
