// Files that the compiled binary carries: SQL as text, archives as the path of an embedded file.
declare module "*.sql" {
  const text: string;
  export default text;
}
declare module "*/third-party-notices.txt" {
  const text: string;
  export default text;
}
declare module "*.page" {
  const path: string;
  export default path;
}
declare module "*.tar.zst" {
  const path: string;
  export default path;
}
