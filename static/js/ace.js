// Ace, from the installed package, loaded when an editor is on the page: under our Content-Security-Policy, with the
// colours of the page's theme and without workers.

let loading = null;

/** The `ace` object; `base` is the address of its folder. */
export function loadAce(base) {
  loading ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = `${base}ace.js`;
    script.addEventListener("load", () => {
      const { config } = window.ace;
      config.set("basePath", base.replace(/\/$/, ""));
      config.set("useStrictCSP", true); // its style sheet is a link of the page
      config.set("loadWorkerFromBlob", false);
      done(window.ace);
    });
    script.addEventListener("error", failed);
    document.head.append(script);
  });
  return loading;
}

/** A theme without a style sheet of its own: `.ace-page` in code-editor.css uses the page's colours, light or dark. */
export const PAGE_THEME = { cssClass: "ace-page", cssText: "", isDark: false };

const MODES = {
  py: "python",
  json: "json",
  yaml: "yaml",
  yml: "yaml",
  toml: "toml",
  md: "markdown",
  sh: "sh",
  ini: "ini",
  cfg: "ini",
  sql: "sql",
};

export function modeOf(path) {
  const end = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  return `ace/mode/${MODES[end] ?? "text"}`;
}
