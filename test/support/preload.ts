import { afterAll } from "bun:test";
import { stopSharedClusters } from "./postgres.ts";

afterAll(stopSharedClusters);
