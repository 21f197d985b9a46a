import { visible } from "../visible.ts";

/** What a link in an exported page may open. Everything else is a script, data of its own, or a file of the reader's. */
const OPENABLE = /^(?:https?:\/\/|mailto:)/i;

/** The page's own headings are h1 and h2; a stored heading starts below them. */
const HEADING_SHIFT = 2;
const LOWEST_HEADING = 6;

/**
 * Stored Markdown as HTML that can neither run nor load anything: HTML in it stays text, links open web pages and mail only,
 * images become links, and headings rank below the page's own.
 */
export function safeHtml(markdown: string): string {
  // Named afterwards: an entity such as `&#x202E;` is a character only now.
  const html = visible(Bun.markdown.html(markdown, { noHtmlBlocks: true, noHtmlSpans: true }), Bun.escapeHTML);
  let openLinks = 0;
  return new HTMLRewriter()
    .on("h1, h2, h3, h4, h5, h6", {
      element(heading) {
        const level = Number(heading.tagName.slice(1));
        heading.tagName = `h${Math.min(LOWEST_HEADING, level + HEADING_SHIFT)}`;
      },
    })
    .on("a", {
      element(link) {
        if (!OPENABLE.test(link.getAttribute("href") ?? "")) {
          link.removeAndKeepContent();
          return;
        }
        link.setAttribute("rel", "noopener noreferrer nofollow");
        openLinks += 1;
        link.onEndTag(() => void (openLinks -= 1));
      },
    })
    .on("img", {
      element(image) {
        // The attributes are escaped as they stand in the page, and stay so.
        const source = image.getAttribute("src") ?? "";
        const text = `🖼 ${image.getAttribute("alt") || "image"}`;
        const isLink = openLinks === 0 && OPENABLE.test(source);
        const rel = 'rel="noopener noreferrer nofollow"';
        image.replace(isLink ? `<a href="${source}" ${rel}>${text}</a>` : text, { html: true });
      },
    })
    .transform(html);
}
