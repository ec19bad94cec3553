// The form's page, better with a script: errors beside their fields, one submission, a lost network waited out.
// Without it the page is posted and answered as it stands. The rules are the server's: only blanks stop here.
(() => {
  "use strict";
  const form = document.querySelector("form[data-words]");
  if (!form || !window.fetch || !window.CSS) return;

  const words = JSON.parse(form.getAttribute("data-words"));
  const action = form.getAttribute("action");
  const status = form.querySelector("[role=status]");
  const button = form.querySelector("[type=submit]");
  const plainTitle = document.title.replace(words.error + " ", "");
  const storageKey = "leadgate:" + action + (form.dataset.place || ""); // of several frames each has its own
  const KEEP_FOR = 30 * 60e3, PATIENCE = 30e3, SLOW = 8e3; // milliseconds

  let busy = false;
  let pairs = []; // as they were last sent
  let edited = false; // since then
  let lost; // once an answer failed to come: {at, tries, waits: to be sent again by itself, over: after KEEP_FOR}
  let timer, expiry;
  let turn = 0; // whose: a kiosk has one visitor after the other

  const tell = (name, detail, cancelable = false) =>
    form.dispatchEvent(new CustomEvent("leadgate:" + name, { bubbles: true, cancelable, detail }));

  const make = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const name in attributes) element.setAttribute(name, attributes[name]);
    element.append(...children);
    return element;
  };

  function say(text, strong) {
    status.textContent = text;
    status.classList.toggle("strong", !!strong);
  }

  // --- what is wrong, and where ---

  const controls = () => [...form.querySelectorAll("input:not([type=hidden]), select, textarea")];
  const find = (name) => controls().find((control) => control.name === name);
  const isBlank = (control) =>
    /checkbox|radio/.test(control.type) ? control.validity.valueMissing : !control.value.trim();

  function findFault(control) {
    if (control.required && isBlank(control)) {
      const label = control.closest("fieldset")?.querySelector("legend") || control.labels[0];
      return { name: control.name, text: words.required.replace("{label}", label.textContent.trim()), sure: true };
    }
    // A browser's idea of an address is not quite the server's, whose word it is.
    return control.validity.typeMismatch && { name: control.name, text: words.email };
  }

  function findFaults() {
    const faults = new Map();
    for (const control of controls()) {
      const fault = findFault(control);
      if (fault && !faults.has(fault.name)) faults.set(fault.name, fault);
      if (words.either && control.name === "email" && isBlank(control) && isBlank(find("phone")))
        faults.set("email", { name: "email", text: words.either, sure: true });
    }
    return [...faults.values()];
  }

  function unmark(field) {
    field.querySelector(".error")?.remove();
    field.classList.remove("wrong");
    for (const holder of field.querySelectorAll("[aria-invalid]")) {
      holder.removeAttribute("aria-invalid");
      describe(holder, (ids) => ids.filter((id) => !id.endsWith("-error")));
    }
  }

  function describe(holder, change) {
    const ids = change((holder.getAttribute("aria-describedby") || "").split(" ").filter(Boolean));
    if (ids.length) holder.setAttribute("aria-describedby", ids.join(" "));
    else holder.removeAttribute("aria-describedby");
  }

  function mark({ name, text }) {
    const control = find(name);
    const field = control?.closest(".field");
    if (!field) return;
    const told = field.querySelector(".error");
    if (told) return void told.append(" " + text);
    const id = `f-${name}-error`;
    const holder = field.querySelector("fieldset") || control;
    const error = make("p", { class: "error", id }, text);
    if (control.type === "checkbox") field.append(error);
    else (field.querySelector(".choices, .chooser") || control).before(error);
    field.classList.add("wrong");
    holder.setAttribute("aria-invalid", "true");
    describe(holder, (ids) => [id, ...ids]);
  }

  function clear() {
    document.querySelector(".summary")?.remove();
    form.querySelectorAll(".wrong").forEach(unmark);
    document.title = plainTitle;
  }

  function summarise(heading, text, faults = []) {
    const section = make("section", { class: "summary", "aria-labelledby": "summary", tabindex: "-1" });
    section.append(make("h2", { id: "summary" }, heading), make("p", {}, text));
    if (faults.length) {
      section.append(make("ul", {}, ...faults.map(({ name, text }) =>
        make("li", {}, find(name) ? make("a", { href: "#f-" + name }, text) : text))));
    }
    form.before(section);
    document.title = `${words.error} ${plainTitle}`;
    section.focus();
  }

  function showFaults(faults) {
    clear();
    faults.forEach(mark);
    const count = faults.length;
    summarise(count === 1 ? words.one : words.many.replace("%(count)s", count), words.kept, faults);
    tell("invalid", { count });
  }

  // --- sending, once ---

  function setBusy(now) {
    busy = now;
    button.setAttribute("aria-disabled", now);
  }

  async function send(solution) {
    clearTimeout(timer);
    if (!solution) edited = false;
    setBusy(true);
    say(words.sending);
    const mine = turn;
    const slow = setTimeout(() => mine === turn && say(words.slow), SLOW);
    let answer, body;
    try {
      answer = await fetch(action, {
        method: "POST",
        headers: { Accept: "application/json" },
        body: new URLSearchParams(solution ? [...pairs, ["altcha", solution]] : pairs),
        signal: AbortSignal.timeout?.(PATIENCE),
      });
      body = await answer.json();
    } catch {
      // Nobody's answer, or half of one: whether the lead has come is not known, and its key makes asking again safe.
      if (mine === turn && (!answer || answer.status < 400 || answer.status >= 500)) return waitForNetwork();
    } finally {
      clearTimeout(slow);
    }
    if (mine !== turn) return;
    if (answer.ok) return finish(body);
    if (body?.challenge && !solution) {
      // Where it cannot be done, saying so is enough: the lead is kept for a human.
      const solution = await solve(body).catch(() => "none");
      return mine === turn && send(solution);
    }
    stop(body || {});
  }

  async function solve(problem) {
    if (!window.leadgateChallenge) {
      await new Promise((resolve, reject) => {
        const script = make("script", { src: "/static/challenge.js" });
        script.onload = resolve;
        script.onerror = reject;
        document.head.append(script);
      });
    }
    return window.leadgateChallenge(problem);
  }

  async function finish({ id, reference, thanks, redirect, conversion }) {
    forget();
    say(words.sent);
    if (!tell("accepted", { id, reference, thanks, redirect, conversion }, true)) return;
    try {
      if (redirect) return void (window.top.location.href = redirect);
    } catch {
      // The frame may not leave by itself.
    }
    // A browser's own error in the thanks' place would say the contrary of what has happened.
    const mine = turn;
    const there = await fetch(thanks, { signal: AbortSignal.timeout?.(PATIENCE) }).then(({ ok }) => ok, () => false);
    if (mine !== turn) return;
    if (there) return void (location.href = thanks);
    setBusy(false);
    say(`${words.sent} ${words.reference}: ${reference}`, true);
  }

  function stop({ title = words.failed[0], detail = words.failed[1], type = "", errors }) {
    forget();
    setBusy(false);
    say("");
    if (errors?.length) return showFaults(errors.map(readError));
    clear();
    summarise(title, detail);
    tell("failed", { code: type.split(":").pop() || "error" });
  }

  function readError({ pointer, detail }) {
    const parts = decodeURIComponent(pointer.slice(2)).split("/");
    return { name: parts.map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~")).join("."), text: detail };
  }

  // --- while the network is away ---

  function waitForNetwork() {
    const known = !!lost;
    lost = { at: lost?.at || Date.now(), tries: (lost?.tries || 0) + 1, waits: !edited, over: lost?.over };
    expiry ||= setTimeout(giveUp, Math.max(0, lost.at + KEEP_FOR - Date.now()));
    setBusy(false);
    if (lost.over) return giveUp();
    keep();
    tellWaiting();
    if (lost.waits) timer = setTimeout(resend, Math.min(60, 5 * 2 ** (lost.tries - 1)) * 1e3);
    if (!known) tell("failed", { code: "network" });
  }

  const tellWaiting = () => say(lost.waits ? words.lost : words.held, true);

  function resend() {
    if (lost?.waits && !busy) send();
  }

  function hold() {
    clearTimeout(timer);
    lost.waits = false;
    tellWaiting();
  }

  function giveUp() {
    lost.over = true;
    erase();
    if (busy) return; // the attempt that is under way is the last
    hold();
    forget();
  }

  function keep() {
    if (lost.over || form.getAttribute("data-keep") === "no") return;
    const { at, waits } = lost;
    try {
      // The first touch stays out: when this is read again, consent to it may have been taken back.
      const kept = (waits ? pairs : [...new FormData(form)]).filter(([name]) => !name.startsWith("first_"));
      sessionStorage.setItem(storageKey, JSON.stringify({ at, send: waits, pairs: kept }));
    } catch {
      // A browser that keeps nothing: the page still has it all.
    }
  }

  function erase() {
    try {
      sessionStorage.removeItem(storageKey);
    } catch {
      // as above
    }
  }

  function forget() {
    clearTimeout(timer);
    clearTimeout(expiry);
    lost = expiry = undefined;
    erase();
  }

  function restore() {
    let kept;
    try {
      kept = JSON.parse(sessionStorage.getItem(storageKey));
    } catch {
      return;
    }
    if (!kept) return;
    if (Date.now() - kept.at > KEEP_FOR) return forget();
    for (const control of form.querySelectorAll("[name]")) {
      if (/^(language|notice\.version)$/.test(control.name)) continue; // they tell of the page that is shown now
      const values = kept.pairs.filter(([name]) => name === control.name).map(([, value]) => value);
      if (control.type === "checkbox" || control.type === "radio") control.checked = values.includes(control.value);
      else if (values.length) control.value = values.pop();
    }
    pairs = kept.pairs;
    lost = { at: kept.at, tries: 0, waits: kept.send };
    expiry = setTimeout(giveUp, kept.at + KEEP_FOR - Date.now());
    tellWaiting();
    resend();
  }

  // --- what the visitor does ---

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (busy) return;
    const faults = findFaults();
    if (faults.some((fault) => fault.sure)) return showFaults(faults);
    clear();
    if (lost) lost.tries = 0;
    tell("submit");
    pairs = [...new FormData(form)];
    send();
  });

  form.addEventListener("input", () => tell("started"), { once: true });
  form.addEventListener("input", () => {
    edited = true;
    if (!lost || busy) return;
    if (lost.waits) hold();
    keep();
  });

  // static/frame.js: what the visitor no longer consents to is not told by a lead that waits, nor kept with it.
  form.addEventListener("leadgate:withdrawn", ({ detail }) => {
    pairs = pairs.filter(([name]) => name !== detail);
    if (lost) keep();
  });

  // A field is left by pressing the button: if a message came or went now, the button would move away from under
  // the finger, and the press be lost.
  let pressed = false;
  document.addEventListener("pointerdown", () => (pressed = true), true);
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => (pressed = false), true);

  form.addEventListener("change", ({ target }) => {
    if (!pressed) return check(target);
    document.addEventListener("pointerup", () => setTimeout(() => busy || check(target)), { once: true });
  });

  function check(target) {
    const field = target.closest(".field");
    if (!field) return;
    unmark(field);
    const fault = findFault(target);
    if (fault) mark(fault);
    if (words.either && target.name === "phone" && !isBlank(target) && isBlank(find("email")))
      unmark(find("email").closest(".field"));
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(".summary a");
    const target = link && document.getElementById(decodeURIComponent(link.hash.slice(1)));
    if (!target) return;
    event.preventDefault(); // an address of its own would be one more step back
    target.focus();
  });

  window.addEventListener("online", resend);
  const begin = () => {
    setBusy(false);
    if (lost) tellWaiting();
    else say("");
  };
  form.addEventListener("reset", () => {
    turn += 1;
    forget();
    clear();
    begin();
  });
  form.addEventListener("leadgate:leave", (event) => (busy || lost?.waits) && event.preventDefault());
  window.addEventListener("pageshow", (event) => event.persisted && begin());

  restore();
})();
