// What every page does: copies links and code, closes menus, and keeps lists of what is under way fresh.
document.documentElement.classList.add("scripted");

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  const field = button.previousElementSibling;
  const words = button.textContent;
  field.addEventListener("focus", () => field.select());
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      // Without TLS, browsers have no clipboard for pages but this one.
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = words; }, 2000);
  });
}

// Code is copied by a button of its own.
for (const pre of document.querySelectorAll(".prose pre, .call pre, .json pre")) {
  const box = document.createElement("div");
  box.className = "code";
  const button = document.createElement("button");
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(pre.textContent);
    } catch {
      // Without TLS, browsers have no clipboard for pages but the selection.
      getSelection().selectAllChildren(pre);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  pre.replaceWith(box);
  box.append(pre, button);
}

// A link to what is folded unfolds it.
const unfold = () => {
  const to = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (to instanceof HTMLDetailsElement) to.open = true;
};
addEventListener("hashchange", unfold);
unfold();

// On narrow screens the navigation is wider than the screen: the place where one is comes into view.
const current = document.querySelector("header nav [aria-current]");
// Not by scrollIntoView, from which the Tab key would go on.
if (current) { const nav = current.closest("nav"); nav.scrollLeft += current.getBoundingClientRect().left - nav.getBoundingClientRect().left - (nav.clientWidth - current.offsetWidth) / 2; }

// A form whose answer takes a while says so.
for (const form of document.querySelectorAll("form[data-busy]")) {
  const button = form.querySelector("button.first");
  const words = button.textContent;
  form.addEventListener("submit", () => {
    button.textContent = form.dataset.busy;
    button.setAttribute("aria-disabled", "true");
  });
  addEventListener("pageshow", () => {
    button.textContent = words;
    button.removeAttribute("aria-disabled");
  });
}

const menus = () => document.querySelectorAll("details.menu[open]");
document.addEventListener("click", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A list of jobs is asked for again while one of them is under way.
for (const place of document.querySelectorAll("[data-live]")) {
  let timer = null;
  const look = async (always) => {
    clearTimeout(timer);
    if (!always && !place.querySelector("[data-open]")) return;
    try {
      const answer = await fetch(location.href);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById(place.id);
      if (fresh && fresh.innerHTML !== place.innerHTML && !place.contains(document.activeElement)) {
        place.replaceChildren(...fresh.childNodes);
      }
    } catch {
      // The next look may reach the server.
    }
    timer = setTimeout(look, 1500);
  };
  timer = setTimeout(look, 1500);
  document.addEventListener("retort:look", () => look(true));
}
