// Speaks for the form to the page around its frame: docs/embedding.md. The embed script has written into the frame's
// name who embeds it, so that the first word already goes to that origin and to no other.
"use strict";
(() => {
  if (parent === window) return;
  const root = document.documentElement;
  const form = document.querySelector("form");
  let [mark, embedId, origin, kiosk] = name.split(" "); // without a kiosk it is the word undefined
  // Old browsers do not tell the server that a page is for a frame.
  root.classList.add("framed");
  if (form && root.dataset.redirect) form.target = "_top";
  if (origin === "null" && document.referrer) {
    // A page in an about:srcdoc frame does not read its origin from its address. The request for this page told it;
    // the next page's will not, and finds it in the name.
    origin = new URL(document.referrer).origin;
    name = [mark, embedId, origin, kiosk].join(" ");
  }
  if (mark !== "leadgate" || origin === "null" || !isOrigin(origin)) return;
  // The id's whole number is the form's place among the page's: what one frame keeps, another does not find.
  if (form) form.dataset.place = Math.floor(embedId) || "";

  function isOrigin(text) {
    const around = location.ancestorOrigins?.[0];
    return new URL(text).origin === text && (!around || around === text);
  }

  const formId = root.dataset.form;
  const STILL = "#still"; // of thanks that say nothing and take no focus
  const parameters = (root.dataset.parameters || "").split(" ");
  const withoutFirst = (key) => key.replace(/^first_/, "");
  const tell = (type, more) =>
    parent.postMessage({ source: "leadgate", v: 1, type, embedId, formId, ...more }, origin);

  // --- what the page around tells: written into hidden inputs, which go along however the form is sent

  const written = new Map();

  function write(values) {
    for (const [key, input] of written) {
      if (values[key]) continue;
      input.remove();
      written.delete(key);
      // Consent may have been taken back: static/form.js forgets it, too.
      if (parameters.includes(withoutFirst(key))) form.dispatchEvent(new CustomEvent("leadgate:withdrawn", { detail: key }));
    }
    for (const key in values) {
      if (values[key]) find(key).value = values[key];
    }
  }

  function find(key) {
    let input = form.querySelector(`input[type=hidden][name="${CSS.escape(key)}"]`);
    if (!input) {
      input = Object.assign(document.createElement("input"), { type: "hidden", name: key });
      form.prepend(input);
    }
    written.set(key, input);
    return input;
  }

  // Only what a page may tell: no box, no token and no field that is shown can be filled in from outside.
  function choose({ pageUrl, receiver, params, fields }) {
    const values = { pageUrl, receiver };
    for (const [key, value] of Object.entries(params || {})) {
      const known = key.toLowerCase();
      if (parameters.includes(withoutFirst(known))) values[known] = value;
    }
    const plain = (text) => text.replace(/[-_]/g, "").toLowerCase();
    const declared = (root.dataset.hidden || "").split(" ");
    for (const [key, value] of Object.entries(fields || {})) {
      const field = declared.find((one) => one && plain(one) === plain(key));
      if (field) values[field] = value;
    }
    for (const key in values) if (typeof values[key] !== "string") delete values[key];
    return values;
  }

  let language = null; // as the page has said; undefined where it leaves it to the browser
  let started = false;

  function hear({ source, origin: from, data }) {
    if (source !== parent || from !== origin) return;
    if (data?.source !== "leadgate" || data.v !== 1 || data.embedId !== embedId || data.type !== "context") return;
    if (form) write(choose(data));
    // A page that changes its language takes the form along, unless somebody has begun to write.
    const wish = language !== null && language !== data.lang && String(data.lang);
    const link = wish && document.querySelector(`.languages [hreflang="${CSS.escape(wish)}"]`);
    language = data.lang;
    if (link && !started) location.replace(link.href);
  }

  // --- what the form tells

  function start() {
    if (!started) tell("form-started");
    started = true;
  }

  function accepted(event) {
    const { id, reference, thanks, redirect, conversion } = event.detail;
    tell("form-submit", { id, reference, conversion });
    if (!redirect || redirect !== root.dataset.redirect) return;
    event.preventDefault();
    tell("form-redirect", { url: redirect });
    // An address that is but a place on the page around leaves nothing behind; its visitor is there, and stays there.
    setTimeout(() => location.replace(thanks + STILL), 2300);
  }

  const listeners = {
    input: start,
    "leadgate:started": start,
    "leadgate:invalid": ({ detail }) => tell("form-validation-failed", { count: detail.count }),
    "leadgate:submit": () => tell("form-sending"),
    "leadgate:accepted": accepted,
    "leadgate:failed": ({ detail }) => tell("form-error", { code: detail.code }),
    // Not taken by the page's own script: the browser sends it.
    submit: (event) => event.defaultPrevented || tell("form-sending"),
  };

  function tellWhatIsShown() {
    const { lead, reference, conversion, status } = root.dataset;
    const wrong = document.querySelectorAll(".summary li").length;
    tell("form-ready", { title: document.title, parameters: writePattern() });
    measure();
    if (location.hash === STILL) return;
    if (lead) tell("form-submit", { id: lead, reference, conversion: conversion === "1" });
    else if (wrong) tell("form-validation-failed", { count: wrong });
    else if (status) tell("form-error", { code: status });
    // A browser does not focus by itself within another's page.
    document.querySelector("[autofocus]")?.focus();
  }

  const writePattern = () => `^(${parameters.map((one) => one.replace(/\W/g, "\\$&")).join("|")})$`;

  let height;

  function measure() {
    const now = Math.ceil(root.getBoundingClientRect().height);
    if (now !== height) tell("form-height-changed", { height: (height = now) });
  }

  // --- a kiosk: the next visitor sees nothing of this one

  function watchKiosk(seconds) {
    let timer;
    const fresh = `/f/${formId}?lang=${root.lang}`;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(next, seconds * 1000, begin);
    };
    // What its visitor was told would be sent is not thrown away: static/form.js objects as long as it may be.
    const isPending = () => form && !form.dispatchEvent(new CustomEvent("leadgate:leave", { cancelable: true }));
    const next = (move) => (isPending() ? wait() : move());
    // While the gateway cannot be reached this page is the one there is: a browser's own error would stay for good.
    const begin = () =>
      fetch(fresh).then(
        () => next(() => location.replace(fresh)),
        () => next(() => {
          form?.reset();
          wait();
        })
      );
    for (const type of ["input", "keydown", "pointerdown"]) addEventListener(type, wait);
    if (!form) return wait();
    form.dataset.keep = "no"; // the page's own script keeps nothing either
    for (const one of [form, ...form.elements]) one.autocomplete = "off";
  }

  addEventListener("message", hear);
  for (const type in listeners) document.addEventListener(type, listeners[type]);
  if (kiosk !== "undefined") watchKiosk(+kiosk || 60);
  tellWhatIsShown();
  new ResizeObserver(measure).observe(root);
})();
