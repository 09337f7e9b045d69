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
  const turns = new WeakMap(); // How often each card was decided on.

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
      form.hidden = !progress.undo;
      form.querySelector("button").textContent = progress.undo;
    }
    showBulk(progress);
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
  function showBulk({ bulk: texts, expect }) {
    for (const [decision, count] of Object.entries(expect)) {
      for (const input of root.querySelectorAll(`.ds-bulk input[name=expect_${decision}]`)) {
        input.value = count;
      }
    }
    const places = [...root.querySelectorAll(".ds-bulk button")].map((button) => [button, texts[button.value]]);
    for (const place of root.querySelectorAll("[data-ds-left-out]")) {
      places.push([place, texts.left_out]);
    }
    for (const [place, text] of places) {
      place.textContent = text;
      place.hidden = !text;
    }
  }

  // What a card offers after a failure: the same again, a fresh page, the way back in, to decide on more, the box
  // to tick, or nothing.
  class Refusal extends Error {
    constructor(text, remedy, together) {
      super(text);
      this.remedy = remedy;
      this.together = together;
    }
  }

  async function send(form, address, values) {
    const body = new FormData(form);
    for (const [name, value] of Object.entries(values)) {
      body.set(name, value);
    }
    const response = await fetch(address, { method: "POST", body, headers: { Accept: "application/json" } });
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

  function showError(form, error, again) {
    const refusal = error instanceof Refusal ? error : new Refusal(message("failed"), "retry");
    clearError(form);
    say("");
    const line = document.createElement("span");
    line.className = "ds-card-error";
    line.setAttribute("role", "alert");
    line.textContent = `${refusal.message || message("failed")} `;
    for (const change of refusal.together ? refusal.together.changes : []) {
      const link = document.createElement("a");
      link.href = `?number=${change.number}#change-${change.number}`;
      link.textContent = change.words;
      line.append(link, " ");
    }
    if (refusal.together && refusal.together.more) {
      line.append(refusal.together.more, " ");
    }
    if (refusal.remedy === "acknowledge") {
      form.elements.acknowledge.focus();
    } else if (refusal.remedy !== "none") {
      line.append(remedyFor(refusal, again));
    }
    form.append(line);
  }

  function remedyFor(refusal, again) {
    const here = window.location.pathname + window.location.search;
    if (refusal.remedy === "login") {
      const link = document.createElement("a");
      link.href = `${message("loginUrl")}?next=${encodeURIComponent(here)}`;
      link.textContent = message("login");
      return link;
    }
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button";
    if (refusal.remedy === "reload") {
      button.textContent = message("reload");
      button.addEventListener("click", () => window.location.reload());
    } else {
      const isTogether = refusal.remedy === "together";
      button.textContent = isTogether ? refusal.together.button : message("retry");
      button.addEventListener("click", () => again(isTogether));
    }
    return button;
  }

  function clearError(form) {
    const line = form.querySelector(".ds-card-error");
    if (line) {
      line.remove();
    }
  }

  // `restore` puts back what was ticked beside the decision, where it cannot be saved.
  function decide(form, decision, withRequirements, restore) {
    const card = form.closest(".ds-card");
    const values = withRequirements ? { decide: decision, with_requirements: "1" } : { decide: decision };
    // Another key may be pressed before the answer is there: only the latest decision moves the radio.
    const turn = (turns.get(form) || 0) + 1;
    turns.set(form, turn);
    const isLatest = () => turns.get(form) === turn;
    form.elements.decide.value = decision;
    form.classList.add("ds-saving");
    queue = queue.then(async () => {
      try {
        showProgress(await send(form, form.action, values));
        card.dataset.decision = decision;
        if (isLatest()) {
          form.elements.decide.value = decision;
        }
        clearError(form);
        say(`#${form.elements.number.value} ${message(restore ? "saved" : decision)}`);
      } catch (error) {
        if (isLatest()) {
          form.elements.decide.value = card.dataset.decision;
          showError(form, error, (isTogether) => decide(form, decision, isTogether));
        }
        if (restore) {
          restore();
        }
      }
      form.classList.toggle("ds-saving", !isLatest());
    });
  }

  // Ticking a change off

  async function toggleViewed(button) {
    const form = button.form;
    const isViewed = button.value === "1";
    try {
      const answer = await send(form, form.action, { viewed: button.value });
      button.setAttribute("aria-pressed", String(isViewed));
      button.value = isViewed ? "0" : "1";
      for (const place of root.querySelectorAll("[data-ds-viewed]")) {
        place.textContent = answer.viewed[place.dataset.dsViewed] || 0;
      }
      showBulk(answer);
      clearError(form);
      say(`#${form.elements.number.value} ${message(isViewed ? "viewed" : "unviewed")}`);
    } catch (error) {
      showError(form, error, () => toggleViewed(button));
    }
  }

  root.addEventListener("click", (event) => {
    const button = event.target.closest(".ds-viewed");
    if (button) {
      event.preventDefault();
      toggleViewed(button);
    }
  });

  root.addEventListener("change", (event) => {
    const input = event.target;
    const form = input.form;
    if (!form || !form.matches("form.ds-decision")) {
      return;
    }
    const decision = form.elements.decide ? form.elements.decide.value : ""; // Which may be on its way yet.
    if (input.name === "decide") {
      decide(form, input.value);
    } else if (input.name === "keep") {
      // To keep a field of what was rejected is to think again.
      decide(form, decision === "rejected" ? "undecided" : decision, false, () => {
        input.checked = !input.checked;
      });
    } else if (input.name === "rename_choice" && decision === "accepted") {
      decide(form, "accepted");
    } else {
      clearError(form); // What was missing may be there now.
    }
  });

  // A comment is added in place: a page that is loaded anew, or a session that has ended, would cost what was written.

  async function addComment(button) {
    const form = button.form;
    button.disabled = true;
    try {
      const answer = await send(form, button.formAction, {});
      const item = document.createElement("li");
      const head = document.createElement("span");
      const text = document.createElement("div");
      head.className = "ds-quiet";
      head.textContent = answer.head;
      text.className = "ds-text";
      text.dir = "auto";
      text.textContent = answer.text;
      item.append(head, text);
      form.querySelector("ol").append(item);
      form.querySelector("summary").textContent = answer.summary;
      form.elements.comment.value = "";
      clearError(form);
      say(`#${form.elements.number.value} ${answer.summary}`);
    } catch (error) {
      showError(form, error, () => addComment(button));
    }
    button.disabled = false;
  }

  root.addEventListener("click", (event) => {
    const button = event.target.closest(".ds-add-comment");
    if (button) {
      event.preventDefault();
      addComment(button);
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

  // Keys

  const help = root.querySelector("dialog.ds-keys");
  const OFF = "data_sync.keys";

  function areKeysOn() {
    try {
      return window.localStorage.getItem(OFF) !== "off";
    } catch {
      return true; // No storage: on, until the page is left.
    }
  }

  function cards() {
    return [...root.querySelectorAll(".ds-card")];
  }

  function currentCard() {
    return document.activeElement ? document.activeElement.closest(".ds-card") : null;
  }

  // To the next card or the one before; beyond the last one, to the link to the next page, and then there.
  function move(step) {
    const all = cards();
    const at = all.indexOf(currentCard());
    const to = at < 0 ? all[step > 0 ? 0 : all.length - 1] : all[at + step];
    const link = root.querySelector(`.ds-pager a[rel="${step > 0 ? "next" : "prev"}"]`);
    const target = to || (at >= 0 && link);
    if (link && document.activeElement === link) {
      link.click();
    } else if (target) {
      target.focus({ preventScroll: true });
      target.scrollIntoView({ block: to ? "start" : "nearest" });
    }
  }

  function decideByKey(card, decision) {
    const form = card.querySelector("form.ds-decision");
    const radio = form && form.querySelector(`input[name=decide][value=${decision}]`);
    if (!radio || radio.disabled) {
      return;
    }
    const seen = form.elements.acknowledge;
    decide(form, decision);
    if (decision !== "accepted" || !seen || seen.checked) {
      move(1);
    }
  }

  const OF_CARD = {
    a: (card) => decideByKey(card, "accepted"),
    r: (card) => decideByKey(card, "rejected"),
    u: (card) => decideByKey(card, "undecided"),
    v: (card) => card.querySelector(".ds-viewed").click(),
    o: (card) => {
      const folds = [...card.querySelectorAll("details:not(.ds-comments)")];
      const open = folds.some((fold) => !fold.open);
      for (const fold of folds) {
        fold.open = open;
      }
    },
  };

  function isTyping(target) {
    return target.isContentEditable || target.matches("textarea, select, input:not([type=radio], [type=checkbox])");
  }

  function showHelp() {
    help.querySelector("input").checked = areKeysOn();
    help.showModal();
  }

  if (help && cards().length) {
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isTyping(event.target) || help.open) {
        return;
      }
      const key = event.key;
      const card = currentCard();
      if (key === "?") {
        showHelp();
      } else if (event.shiftKey || !areKeysOn()) {
        return;
      } else if (key === "j" || key === "k") {
        move(key === "j" ? 1 : -1);
      } else if (card && Object.hasOwn(OF_CARD, key)) {
        OF_CARD[key](card);
      } else {
        return;
      }
      event.preventDefault();
    });
    help.querySelector("input").addEventListener("change", (event) => {
      try {
        window.localStorage.setItem(OFF, event.target.checked ? "on" : "off");
      } catch {
        // It stays as it is.
      }
    });
    const button = root.querySelector(".ds-show-keys");
    button.hidden = false;
    button.addEventListener("click", showHelp);
  }

  // Progress: asked for every second at first, then less often, and not while nobody looks.

  const progress = root.querySelector("[data-ds-poll]");
  let wait = 1000;
  let timer = 0;
  let told = "";

  function tell(state) {
    const bar = progress.querySelector("progress");
    if (!bar) {
      return;
    }
    progress.querySelector("[data-ds-words]").textContent = state.words;
    // A screen reader is told of a new phase and of each quarter, not of every number.
    const stage = `${state.phase} ${state.max ? Math.floor((4 * state.value) / state.max) : 0}`;
    if (stage !== told) {
      told = stage;
      progress.querySelector("[data-ds-said]").textContent = state.words;
    }
    if (state.max && state.value) {
      bar.max = state.max;
      bar.value = state.value;
    } else {
      bar.removeAttribute("value");
    }
  }

  async function poll() {
    timer = 0;
    try {
      const response = await fetch(progress.dataset.dsPoll, { headers: { Accept: "application/json" } });
      const state = await response.json();
      if (state.stage !== progress.dataset.dsStage) {
        window.location.reload();
        return;
      }
      tell(state);
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
