// Fetches the inbox again each second, and marks what is new. Without it the page reloads itself.
"use strict";
const live = document.getElementById("live");
let last = "";

async function refresh() {
  try {
    const answer = await fetch("/inbox", { cache: "no-store" });
    const content = await answer.text();
    if (answer.ok && content !== last) show(content);
  } catch {
    // The sandbox is away; the next second will tell.
  }
  setTimeout(refresh, 1000);
}

function show(content) {
  const known = new Set([...live.querySelectorAll("article, .contacts li")].map((one) => one.id));
  const held = live.contains(document.activeElement);
  // Replacing what somebody is using would take the focus from under them.
  if (last && held) return;
  live.innerHTML = content;
  if (last) for (const one of live.querySelectorAll("article, .contacts li")) one.classList.toggle("new", !known.has(one.id));
  last = content;
}

refresh();
