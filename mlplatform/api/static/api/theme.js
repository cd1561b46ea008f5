"use strict";

// Swagger UI is dark where its page has this class. Runs before the page is drawn; a system's own choice may change later.
{
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const choose = () => {
    const { theme } = root.dataset;
    root.classList.toggle("dark-mode", theme === "dark" || (theme === "system" && dark.matches));
  };
  choose();
  dark.addEventListener("change", choose);
}
