"use client";

import { Fragment, createElement } from "react";
import Script from "next/script";

const BASE = "https://forms.example.se";

/** <LeadgateForm form="objekt" fields={{ objectReference: home.id }} fallback="Ring 08-465 00 44" /> */
export function LeadgateForm({ form, lang = "sv", receiver, fields = {}, fallback = "" }) {
  const place = {
    "data-leadgate-form": form,
    "data-leadgate-lang": lang,
    "data-leadgate-receiver": receiver,
    suppressHydrationWarning: true,
    // Set as HTML, so that React leaves what is inside to the embed script.
    dangerouslySetInnerHTML: { __html: fallback }
  };
  for (const name in fields) place[`data-leadgate-field-${name}`] = fields[name];
  return createElement(
    Fragment,
    null,
    createElement("div", place),
    createElement(Script, { src: `${BASE}/embed/v1.js`, strategy: "afterInteractive" })
  );
}
