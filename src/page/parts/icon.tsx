/** Paths in a box of 16, drawn with strokes. */
const paths = {
  list: "M2.5 4h11M2.5 8h11M2.5 12h7",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM10.3 10.3l3.2 3.2",
  star: "m8 2 1.8 3.8 4.2.5-3.1 2.9.8 4.1L8 11.3l-3.7 2 .8-4.1L2 6.3l4.2-.5L8 2Z",
  trash: "M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.5 9h6l.5-9M6.8 7v4M9.2 7v4",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  copy: "M6 5.5h6.5v8H6zM3.5 10.5v-8h6.5",
  link: "M6.5 9.5 9.5 6.5M7 4.8l1.3-1.3a2.6 2.6 0 0 1 3.7 3.7L10.7 8.5M9 11.2l-1.3 1.3A2.6 2.6 0 0 1 4 8.8l1.3-1.3",
  check: "m3 8.5 3.2 3.2L13 5",
  close: "M4 4l8 8M12 4l-8 8",
  right: "m6 3.5 4.5 4.5L6 12.5",
  up: "m3.5 10 4.5-4.5L12.5 10",
  down: "m3.5 6 4.5 4.5L12.5 6",
  pencil: "m3 13 .7-2.9L11 2.8l2.2 2.2-7.3 7.3L3 13Z",
  restore: "M3 8a5 5 0 1 0 1.6-3.7M3 3v3h3",
  keyboard: "M1.5 4.5h13v7h-13zM4 7h.01M6.5 7h.01M9 7h.01M11.5 7h.01M5 9.5h6",
  live: "M8 9.2a1.2 1.2 0 1 0 0-2.4 1.2 1.2 0 0 0 0 2.4ZM5.2 10.8a4 4 0 0 1 0-5.6M10.8 5.2a4 4 0 0 1 0 5.6M3.2 12.8a6.8 6.8 0 0 1 0-9.6M12.8 3.2a6.8 6.8 0 0 1 0 9.6",
  calls: "M2.5 4h5M5 8h6M8.5 12h5",
  context: "M4 2.5h6l2.5 2.5v8.5h-8.5zM6 7h4.5M6 9.5h4.5",
  share: "M8 10V2.5M5.2 5 8 2.2 10.8 5M3 9v4.5h10V9",
  home: "M2.5 7.5 8 3l5.5 4.5M4 6.5V13h8V6.5M6.8 13V9.5h2.4V13",
  fork: "M4.5 5.5v5M4.5 5.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3ZM4.5 13.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3ZM11.5 5.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3ZM11.5 5.5c0 3-7 2-7 5",
} as const;

export type IconName = keyof typeof paths;

/** A small picture beside or in place of a word; its meaning stands in the button or link around it. */
export function Icon({ name, isFilled = false }: { name: IconName; isFilled?: boolean }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path
        d={paths[name]}
        fill={isFilled ? "currentColor" : "none"}
        stroke="currentColor"
        stroke-width="1.4"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}
