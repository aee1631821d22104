// The menus at the side, which fold on a small screen; the meaning of a term where it stands.
"use strict";

/** Open the menus where there is room beside the page, and fold them where there is none. */
function openMenus() {
  for (const menu of $$(".menu")) menu.open = wide.matches;
}

function makeContents() {
  const menus = $$(".menu"), links = $$("#contents a");
  wide.addEventListener("change", () => { if (!page.printing) openMenus(); });
  const fold = () => { if (!wide.matches) openMenus(); };
  for (const menu of menus)
    menu.addEventListener("toggle", () => {
      if (menu.open && !wide.matches) menus.forEach((other) => { if (other !== menu) other.open = false; });
    });
  links.forEach((link) => link.addEventListener("click", fold));
  document.addEventListener("click", (event) => { if (!event.target.closest(".menu")) fold(); });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && !wide.matches && event.target.closest?.(".menu[open]");
    if (menu) { fold(); $("summary", menu).focus(); }
  });
  const sight = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting)
      for (const link of links)
        if (link.hash === `#${target.id}`) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
  }, { rootMargin: "-15% 0px -80% 0px" });
  links.forEach((link) => { const target = $(link.hash); if (target) sight.observe(target); });
}

/** Show the meaning of a term beside it; without this script the link leads to the glossary. */
function makeTerms() {
  const box = $("#meaning");
  if (!box.showPopover) return;
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a.term");
    if (!link) return;
    event.preventDefault();
    const entry = $(link.hash);
    box.replaceChildren(element("b", { textContent: entry.textContent }), " ", entry.nextElementSibling.textContent);
    box.showPopover();
    const at = link.getBoundingClientRect(), size = box.getBoundingClientRect(), gap = 6;
    const below = at.bottom + gap + size.height < window.innerHeight;
    box.style.left = `${Math.max(gap, Math.min(at.left, document.documentElement.clientWidth - size.width - gap))}px`;
    box.style.top = `${below ? at.bottom + gap : Math.max(gap, at.top - gap - size.height)}px`;
  });
  window.addEventListener("scroll", () => box.hidePopover(), { passive: true });
}
