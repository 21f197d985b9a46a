// Styles, which the bundler takes beside code.
declare module "*.css";
