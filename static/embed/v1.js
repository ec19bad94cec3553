// The embed script: makes a form of every [data-leadgate-form] element, now and later. docs/embedding.md is its
// contract. Written tight, for it is served as it stands here without comments and blanks (app/web/embed.py, which
// also fills in what stands between percent signs). el: an element with that attribute; set: its data-leadgate-…
// attributes; msg: a message, and what: its type without "form-"; one: what is known of an element;
// taken: leads that have been told, and places on the page that frames stand in.
(() => {
  const base = new URL((document.currentScript || document.querySelector("[src*='/embed/v1.']")).src).origin;
  const early = window.leadgate || {};
  // Loaded twice, as by a page and its tag manager: the first goes on.
  if (early.mount) return early.mount();

  const consent = early.given || {}, taken = {}, all = new Map();
  // Where the visitor came in.
  let came = location.href;
  // The usual campaign parameters, and those of every form that has been here.
  let allowed = /^(utm_\w+|..?clid|[gw]braid|msclkid|li_fat_id)$/i;

  const admit = pattern => {
    if (!allowed.source.includes(pattern)) allowed = RegExp(allowed.source + "|" + pattern, "i");
  };

  // Where the visitor came from. No fragment, and of a query only campaign parameters: the rest may be tokens.
  const clean = address => {
    const url = new URL(address);
    url.search = new URLSearchParams([...url.searchParams].filter(([name]) => allowed.test(name)));
    url.hash = "";
    return url;
  };
  const track = () => {
    // A page may tidy its address: the last that had a campaign is remembered while the page lasts.
    if (clean(location).search) came = location.href;
    const now = Object.fromEntries(clean(came).searchParams), from = clean(document.referrer || location);
    if (location.host != from.host) now.landing_referrer = from.href;
    // In a sandbox, or where the visitor has said so, there is no storage.
    try {
      const store = sessionStorage, given = consent.analytics;
      if (given === false || document.querySelector("[data-leadgate-kiosk]")) delete store.leadgate;
      else if (given || document.querySelector("[data-leadgate-remember=session]")) {
        const kept = JSON.parse(store.leadgate || 0) || { first: now, last: now };
        if (Object.keys(now)[0]) kept.last = now;
        store.leadgate = JSON.stringify(kept);
        for (const name in kept.first) kept.last["first_" + name] = kept.first[name];
        return kept.last;
      }
    } catch {}
    return now;
  };
  const describe = set => {
    const params = track(), fields = {};
    for (const name in set) if (/^leadgateField./.test(name)) fields[name.slice(13)] = set[name];
    return {
      pageUrl: clean(location).href,
      referrer: params.landing_referrer,
      params,
      lang: set.leadgateLang,
      fields,
      receiver: set.leadgateReceiver,
      consent
    };
  };

  // The page's own function, if it is one. Async, so that what it throws is told by the console and stops no form.
  const call = async (on, name, ...said) => on[name]?.call?.(on, ...said);

  // What a form says is told to its page; an accepted lead once, however often its thanks are loaded.
  const hear = (el, msg) => {
    const what = msg.type.slice(5), set = el.dataset;
    if (what == "submit") {
      if (taken[msg.id]) return;
      taken[msg.id] = 1;
      if (msg.conversion) {
        const lead = {
          form_id: set.leadgateForm,
          submission_id: msg.id,
          lead_source: set.leadgateLeadSource || "website"
        };
        if (set.leadgateValue) {
          lead.value = +set.leadgateValue;
          lead.currency = set.leadgateCurrency || "SEK";
        }
        if ("leadgateGtag" in set) call(window, "gtag", "event", "generate_lead", lead);
        else if (set.leadgateDatalayer != "off") {
          call(window[set.leadgateDatalayer || "dataLayer"] ||= [], "push", { event: "generate_lead", ...lead });
        }
      }
    }
    // Tags that were told just now get a moment to send.
    if (what == "redirect" && /^http/.test(msg.url)) setTimeout(() => location = msg.url, 300);
    el.dispatchEvent(new CustomEvent("leadgate:" + what, { bubbles: true, detail: msg }));
    if (what == "sending") call(window, "onBeforeFormSubmit", el, msg);
    call(
      window,
      "onForm" + { ready: "Ready", sending: "Submit", submit: "Submitted", error: "SubmitError" }[what],
      el,
      msg
    );
  };

  const enframe = (el, name) => {
    const box = document.createElement("div"), fallback = document.createElement("div");
    const frame = document.createElement("iframe");
    // The lowest that is free: by the id's whole number the frame finds what it has kept (static/frame.js).
    let place = 0;
    while (taken[place]) place++;
    const set = el.dataset, embedId = (taken[place] = place + Math.random() + "");
    const head = { source: "leadgate", v: 1, embedId, formId: name };
    let height = set.leadgateHeight || 800, loads = 0, readies = 0;
    // Fallback and frame lie in one cell: nothing jumps when the one takes the other's place.
    const paint = look => {
      frame.style = `grid-area:1/1;width:100%!important;height:${height}px!important;border:0!important;${look}!important`;
      fallback.style = "grid-area:1/1;" + (look ? "" : "display:none");
    };
    const update = () => {
      if (readies) frame.contentWindow?.postMessage({ ...head, type: "context", ...describe(set) }, base);
    };

    frame.name = `leadgate ${embedId} ${location.origin} ${set.leadgateKiosk}`;
    frame.loading = "lazy";
    frame.referrerPolicy = "strict-origin-when-cross-origin";
    frame.sandbox = "allow-forms allow-scripts allow-same-origin allow-popups allow-top-navigation-by-user-activation";
    frame.src = `${base}/f/${name}?lang=${set.leadgateLang || ""}`;
    // A page that says nothing is the browser's own, in place of one that it could not show.
    frame.onload = () => setTimeout(async count => {
      if (readies >= count || !box.isConnected) return;
      paint("display:none");
      let why = { code: "unreachable", detail: base + " cannot be reached" };
      try {
        why = await (await fetch(base + "/embed/v1/" + name)).json();
      } catch {}
      console.error("Leadgate: " + why.detail);
      hear(el, { ...head, type: "form-error", ...why });
    }, 3e3, ++loads);
    paint("visibility:hidden");
    box.style = "display:grid";
    fallback.append(...el.childNodes);
    box.append(fallback, frame);
    el.append(box);
    const listen = ({ data, origin, source }) => {
      if (origin != base || source != frame.contentWindow || data.embedId != embedId) return;
      const what = data.type.slice(5);
      if (what == "ready") {
        admit(data.parameters);
        frame.title = data.title;
      }
      if (what == "height-changed") height = Math.min(Math.max(data.height | 0, 60), 2e4);
      else if (what != "ready" || !readies) hear(el, data);
      paint("");
      // The thanks, or the summary of what is wrong, begin above what the visitor sees.
      if (/^(v|sub)/.test(what) && el.getBoundingClientRect().top < 0) el.scrollIntoView();
      if (what == "ready") readies++;
      update();
    };
    addEventListener("message", listen);
    return {
      name,
      box,
      update,
      leave() {
        removeEventListener("message", listen);
        taken[place] = 0;
        box.replaceWith(...fallback.childNodes);
      }
    };
  };
  // A page's own form is the second script's.
  const enhance = (el, name) => {
    const one = { name, box: el };
    import(base + "/embed/%OWN%").then(second => second.enhance(el, one, base, describe, hear, admit));
    return one;
  };

  const update = () => {
    // Also where there is no form yet.
    track();
    all.forEach(({ update }) => update?.());
  };
  const mount = news => {
    all.forEach(({ name, box, leave }, el) => {
      if (el.dataset.leadgateForm == name && box.isConnected) return;
      all.delete(el);
      leave?.();
    });
    document.querySelectorAll("[data-leadgate-form]").forEach(el => {
      const name = el.dataset.leadgateForm;
      // One that the browser may not have read to its end will come again.
      if (name && !all.has(el) && (el.nextSibling || document.readyState != "loading")) {
        all.set(el, (el.matches("form") ? enhance : enframe)(el, name));
        watcher.observe(el, { attributes: true });
      }
    });
    if (news?.some?.(change => change.attributeName)) update();
  };
  const watcher = new MutationObserver(mount);
  window.leadgate = {
    mount,
    consent(given) {
      Object.assign(consent, given);
      update();
    }
  };
  watcher.observe(document, { childList: true, subtree: true, attributeFilter: ["data-leadgate-form"] });
  document.addEventListener("readystatechange", mount);
  mount();
  update();
})();
