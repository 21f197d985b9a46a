import DOMPurify from "dompurify";

/** What Markdown may become. Nothing that runs, loads, submits or lies over the page. */
const ALLOWED_TAGS = (
  "p br hr h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong del s sub " +
  "sup kbd mark a table thead tbody tr th td span details summary"
).split(" ");
const ALLOWED_ATTRIBUTES = ["href", "class", "start", "align", "title", "lang"];
/** Classes that our own renderers write; others could imitate the page. */
const OWN_CLASS = /^(?:hljs(?:-[a-z_-]+)?|language-[\w+#.-]{1,40}|function_|class_|inherited__|invoke__)$/;

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (!(node instanceof Element)) return;
  for (const name of node.classList) if (!OWN_CLASS.test(name)) node.classList.remove(name);
  if (node.localName !== "a") return;
  const href = node.getAttribute("href") ?? "";
  // A text's link is another site's or none: a relative one would act on the page itself.
  if (/^(?:https?|mailto):/i.test(href)) {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer nofollow");
    node.setAttribute("title", href);
  } else node.removeAttribute("href");
});

// Once, since reading it takes a good part of the time of a short text.
DOMPurify.setConfig({
  ALLOWED_TAGS,
  ALLOWED_ATTR: ALLOWED_ATTRIBUTES,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
});

/** The HTML without everything that could act, as nodes: no text becomes markup anywhere else on the page. */
export function safeFragment(html: string): DocumentFragment {
  // With the configuration above it returns a fragment, though its type tells so only of one that is given here.
  const fragment: unknown = DOMPurify.sanitize(html);
  if (!(fragment instanceof DocumentFragment)) throw new Error("the sanitizer returned no fragment");
  return fragment;
}
