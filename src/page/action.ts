/** What can be done to conversations, one or several. */
export type Action = "star" | "unstar" | "trash" | "restore";
