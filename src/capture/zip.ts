import { openPromise } from "yauzl";

export interface ZipEntry {
  name: string;
  open(): AsyncIterable<Uint8Array>;
}

/**
 * The files in a zip, each to be read before the next is asked for: the archive is closed behind the last. yauzl is the
 * reader that the npm world has settled on: it streams, knows zip64 (exports with pictures exceed 4 GB) and refuses
 * archives that contradict themselves.
 */
export async function* zipEntries(path: string): AsyncGenerator<ZipEntry> {
  const zip = await openPromise(path, { autoClose: false });
  try {
    for await (const entry of zip.eachEntry()) {
      if (entry.fileName.endsWith("/")) continue;
      yield {
        name: entry.fileName,
        async *open() {
          yield* await zip.openReadStreamPromise(entry);
        },
      };
    }
  } finally {
    zip.close();
  }
}
