// The second script: enhances a page's own <form data-leadgate-form="kontakt"> in place. The embed script fetches it
// only where there is one. Without it, or where it is kept from asking, the browser posts the form itself.

const TEXTS = {
  sv: {
    sending: "Skickar …",
    wrong: count => (count > 1 ? count + " saker" : "En sak") + " behöver rättas.",
    offline: "Vi får inget svar just nu. Det du skrev finns kvar; skicka igen om en stund.",
    thanks: "Tack!",
    reference: "Din referens:"
  },
  en: {
    sending: "Sending …",
    wrong: count => (count > 1 ? count + " things need" : "One thing needs") + " to be corrected.",
    offline: "We get no answer right now. What you wrote is still here; please send it again in a while.",
    thanks: "Thank you!",
    reference: "Your reference:"
  }
};
// Milliseconds until an answer is no longer waited for.
const LONGEST = 2e4;
const NESTED = ["consents", "notice", "marketing"];

// RFC 6901, as a URI fragment.
const fieldOf = ({ pointer }) =>
  decodeURIComponent(pointer).slice(2).replaceAll("/", ".").replaceAll("~1", "/").replaceAll("~0", "~");

// Two forms of one name on a page share no id.
let made = 0;

const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

export function enhance(el, one, base, describe, hear, admit) {
  const set = el.dataset;
  const name = set.leadgateForm;
  const lang = /^en/i.test(set.leadgateLang || document.documentElement.lang) ? "en" : "sv";
  const text = TEXTS[lang];
  const tell = (type, more) => hear(el, { source: "leadgate", v: 1, type: "form-" + type, formId: name, ...more });
  const unknown = new Set();
  const written = new Map();
  const shown = {};
  let key = newKey();
  // Of what is listened to while the element is this form.
  const life = new AbortController(), { signal } = life;
  let words, sent, busy;

  // What stood in this form before, as in a page that was kept and comes back: it is not the page's own.
  const tidy = () => {
    el.querySelectorAll(".leadgate-own").forEach(old => old.remove());
    el.querySelectorAll(".leadgate-error").forEach(old => (old.textContent = ""));
    el.querySelectorAll("[aria-invalid]").forEach(old => old.removeAttribute("aria-invalid"));
  };
  tidy();

  // What is wrong is told beside the fields, in the words of the form's own definition. What the page itself requires
  // stays required, unless it has put that off.
  const lax = el.noValidate;
  el.noValidate = true;
  el.method = "post";
  const bare = !el.hasAttribute("action");
  if (bare) el.action = base + "/f/" + name;

  // --- the form's own definition; where it cannot be had, the console names the cause

  const learn = async () => {
    if (words) return;
    words = await fetch(base + "/api/v1/forms/" + name, { signal: AbortSignal.timeout?.(LONGEST) })
      .then(answer => (answer.ok ? answer.json() : explain()))
      .catch(explain);
    if (words) admit(`^(${words.parameters.join("|").replaceAll(".", "\\.")})$`);
    one.update();
  };

  // Nobody waits for it.
  const explain = () => {
    fetch(base + "/embed/v1/" + name)
      .then(answer => answer.json())
      .catch(() => ({ detail: base + " cannot be reached" }))
      .then(({ detail }) => console.error("Leadgate: " + detail));
  };

  // --- the context, in hidden inputs: it goes along however the form is sent, and stays once it has been

  one.update = () => {
    if (sent) return;
    const { pageUrl, receiver, params, fields } = describe(set);
    const values = { pageUrl, receiver, language: lang, ...params, ...shown };
    for (const key in fields) values[declare(key)] = fields[key];
    for (const [key, input] of written) if (!values[key]) input.remove() ?? written.delete(key);
    for (const key in values) if (values[key]) write(key, values[key]);
  };

  // Attributes know no case. Until the form is known, what stands with hyphens is taken at its word.
  const declare = key => {
    const plain = text => text.replace(/[-_]/g, "").toLowerCase();
    const known = words && Object.keys(words.schema.properties).find(one => plain(one) == plain(key));
    return known || key[0].toLowerCase() + key.slice(1);
  };

  const write = (key, value) => {
    let input = written.get(key);
    if (!input) {
      // An input of the page's own goes before.
      if (el.elements.namedItem(key)) return;
      input = document.createElement("input");
      Object.assign(input, { type: "hidden", name: key, className: "leadgate-own" });
      el.prepend(input);
      written.set(key, input);
    }
    input.value = value;
  };

  const place = async () => {
    const notice = el.querySelector("[data-leadgate-notice]");
    if (!notice && !Object.keys(describe(set).fields)[0]) return;
    await learn();
    if (words && notice) {
      const { version, text } = words.notice;
      const told = text[lang] || Object.values(text)[0];
      notice.replaceChildren(
        ...told.split("\n\n").map(part => Object.assign(document.createElement("p"), { textContent: part }))
      );
      shown["notice.version"] = version;
      shown["notice.shownAt"] = new Date().toISOString();
    }
    one.update();
  };

  // --- what was filled in

  const read = () => {
    const flat = {};
    for (const [key, value] of new FormData(el)) {
      if (value.trim?.() && !unknown.has(key)) flat[key] = value;
    }
    // Of a disabled box nothing is said, as a browser says nothing; for a field of text a ticked one's value is.
    for (const { type, name, checked, willValidate } of el.elements) {
      const told = type == "checkbox" && willValidate && name && !unknown.has(name);
      if (told && words?.schema.properties[name]?.type != "string") flat[name] = checked;
    }
    const body = {};
    for (const key in flat) {
      const [group, part] = key.split(".");
      if (part && NESTED.includes(group)) (body[group] ||= {})[part] = flat[key];
      else body[key] = flat[key];
    }
    return JSON.stringify(body);
  };

  // --- what is told beside the fields

  const status = document.createElement("p");
  Object.assign(status, { className: "leadgate-status leadgate-own", role: "status" });
  el.append(status);

  // Of what stands for a field on this page, the first that can be seen.
  const controlOf = field => {
    const find = name => [...el.elements].find(control => control.name == name && control.type != "hidden");
    return find(field) || find({ firstName: "name", lastName: "name", email: "phone" }[field]);
  };

  const clear = control => control.leadgateError?.();

  const mark = (control, field, detail, spoken) => {
    if (control.leadgateError) return;
    const given = el.querySelector(`[data-leadgate-error="${CSS.escape(field)}"]`);
    const place = given || document.createElement("p");
    const group = /checkbox|radio/.test(control.type) && control.closest("fieldset");
    const described = control.getAttribute("aria-describedby") || "";
    place.id ||= `leadgate-error-${++made}`;
    place.classList.add("leadgate-error");
    if (!given) place.classList.add("leadgate-own");
    place.textContent = detail;
    place.lang = spoken;
    // Not within the label, whose text is the field's name.
    if (!given) group ? group.append(place) : (control.closest("label") || control).after(place);
    control.setAttribute("aria-invalid", "true");
    control.setAttribute("aria-describedby", `${place.id} ${described}`.trim());
    control.leadgateError = () => {
      given ? (place.textContent = "") : place.remove();
      control.removeAttribute("aria-invalid");
      control.setAttribute("aria-describedby", described);
      control.leadgateError = null;
    };
  };

  const show = faults => {
    const elsewhere = [];
    for (const { field, detail, spoken = lang, control = controlOf(field) } of faults) {
      if (control) mark(control, field, detail, spoken);
      else elsewhere.push(detail);
    }
    status.textContent = [text.wrong(faults.length), ...elsewhere].join(" ");
    tell("validation-failed", { count: faults.length });
    [...el.elements].find(control => control.leadgateError)?.focus();
  };

  // The page's own constraints, in the browser's words; of radio buttons that belong together one tells it.
  const findFaults = () => {
    const faults = [];
    for (const control of lax ? [] : el.elements) {
      const { type, willValidate, validity, name: field, validationMessage: detail } = control;
      const wrong = willValidate && (validity.valueMissing || validity.patternMismatch);
      if (wrong && (type != "radio" || control == controlOf(field))) {
        faults.push({ field, detail, control, spoken: navigator.language });
      }
    }
    return faults;
  };

  const thank = reference => {
    const place = `[data-leadgate-thanks="${name}"]`;
    // Two forms of one name may have each their own.
    const given = el.parentNode.querySelector(place) || document.querySelector(place);
    const thanks = given || document.createElement("div");
    if (!given) {
      for (const line of [words?.thanks[lang] || text.thanks, `${text.reference} ${reference}`]) {
        thanks.append(Object.assign(document.createElement("p"), { textContent: line }));
      }
      thanks.className = "leadgate-thanks";
      el.after(thanks);
    }
    for (const place of thanks.querySelectorAll("[data-leadgate-reference]")) place.textContent = reference;
    el.style.display = "none";
    thanks.hidden = false;
    thanks.tabIndex = -1;
    thanks.focus();
    el.addEventListener("reset", () => (given ? (thanks.hidden = true) : thanks.remove()), { once: true });
    if (set.leadgateKiosk != undefined) setTimeout(() => el.reset(), (+set.leadgateKiosk || 60) * 1000);
  };

  // --- sending

  const post = body =>
    fetch(base + "/api/v1/forms/" + name + "/leads", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key },
      body,
      credentials: "omit",
      signal: AbortSignal.timeout?.(LONGEST)
    });

  const send = async () => {
    const answer = await post(read());
    const said = await answer.json();
    if (answer.ok) return accept(said, answer.headers);
    // What was answered 4xx has used no key up; the same key with other words is another lead.
    const strange = said.errors?.filter(({ code }) => code == "unknown_field").map(fieldOf);
    if (said.type?.endsWith("idempotency-key-reused")) key = newKey();
    // Left out once; what is still refused then is told.
    else if (strange?.some(field => !unknown.has(field))) for (const field of strange) unknown.add(field);
    else if (said.errors) return show(said.errors.map(error => ({ field: fieldOf(error), detail: error.detail })));
    else {
      status.textContent = said.detail || said.title;
      return tell("error", { code: answer.status });
    }
    return send();
  };

  const accept = ({ id, reference }, headers) => {
    const redirect = headers.get("Leadgate-Redirect");
    status.textContent = "";
    if (!redirect) thank(reference);
    tell("submit", { id, reference, conversion: headers.get("Leadgate-Conversion") == "1" });
    if (redirect) tell("redirect", { url: redirect });
    return true;
  };

  const submit = async event => {
    // The page itself has stopped it.
    if (event.defaultPrevented) return;
    event.preventDefault();
    if (busy) return;
    [...el.elements].forEach(clear);
    const faults = findFaults();
    if (faults[0]) return show(faults);
    busy = true;
    el.setAttribute("aria-busy", "true");
    status.textContent = text.sending;
    tell("sending");
    try {
      // What the form takes is known before its context stands still.
      await learn();
      sent = true;
      sent = await send();
    } catch {
      sent = false;
      // No answer. The same again is no second lead, whichever way it comes: the gateway knows it by its words.
      if (navigator.onLine) HTMLFormElement.prototype.submit.call(el);
      else tell("error", { code: "network" });
      // Also when the browser posts it: the page's policy may forbid that, and nobody would say so.
      status.textContent = text.offline;
    }
    busy = false;
    el.removeAttribute("aria-busy");
    one.update();
  };

  const start = () => {
    tell("started");
    learn();
  };

  el.addEventListener("submit", submit, { signal });
  el.addEventListener("input", start, { once: true, signal });
  el.addEventListener("input", ({ target }) => clear(target), { signal });
  el.addEventListener("reset", () => {
    key = newKey();
    sent = false;
    [...el.elements].forEach(clear);
    status.textContent = el.style.display = "";
    one.update();
  }, { signal });
  one.leave = () => {
    life.abort();
    el.noValidate = lax;
    // No late answer writes the context anew.
    sent = true;
    tidy();
    if (bare) el.removeAttribute("action");
  };
  one.update();
  place().catch(() => {});
  tell("ready");
}
