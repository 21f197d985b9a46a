import { expect, test } from "bun:test";
import { Metrics } from "../../src/metrics.ts";
import type { RecorderHealth } from "../../src/proxy/delivery/shipper.ts";
import { Meter, meterRecorder } from "../../src/proxy/meter.ts";
import { noTap } from "../../src/proxy/relay/tap.ts";
import type { Direction, Tap } from "../../src/proxy/relay/tap.ts";
import { viewFrame } from "../../src/wire/frame.ts";

const pass = (tap: Tap, direction: Direction, message: object) => {
  const text = JSON.stringify(message);
  tap.frame(direction, { text, view: viewFrame(text) }, () => {});
};
const call = (id: number) => ({ id, method: "tools/call" });
/** The samples of some metrics, without their help and type. */
const samples = async (metrics: Metrics, ...names: string[]) =>
  (await metrics.response().text())
    .split("\n")
    .filter((line) => names.some((name) => line.startsWith(`${name}{`) || line.startsWith(`${name} `)));

test("a meter counts sessions, frames and bytes by upstream and direction, and calls by outcome", async () => {
  const metrics = new Metrics();
  const meter = new Meter(metrics);
  const [first, second] = [meter.session("a", noTap), meter.session("a", noTap)];
  const other = meter.session("b", noTap);
  pass(first.tap, "up", call(1));
  pass(first.tap, "down", { id: 1, result: "é" });
  pass(other.tap, "down", {});
  expect(
    await samples(metrics, "dewey_proxy_sessions_total", "dewey_proxy_frames_total", "dewey_proxy_frame_bytes_total"),
  ).toEqual([
    'dewey_proxy_sessions_total{upstream="a"} 2',
    'dewey_proxy_sessions_total{upstream="b"} 1',
    'dewey_proxy_frames_total{upstream="a",direction="up"} 1',
    'dewey_proxy_frames_total{upstream="a",direction="down"} 1',
    'dewey_proxy_frames_total{upstream="b",direction="up"} 0',
    'dewey_proxy_frames_total{upstream="b",direction="down"} 1',
    `dewey_proxy_frame_bytes_total{upstream="a",direction="up"} ${JSON.stringify(call(1)).length}`,
    'dewey_proxy_frame_bytes_total{upstream="a",direction="down"} 22',
    'dewey_proxy_frame_bytes_total{upstream="b",direction="up"} 0',
    'dewey_proxy_frame_bytes_total{upstream="b",direction="down"} 2',
  ]);
  const ends = {
    success: { result: {} },
    error: { error: {} },
    unavailable: { error: { code: 503 } },
  };
  for (const [index, [outcome, end]] of Object.entries(ends).entries()) {
    second.watch.asked(viewFrame(JSON.stringify(call(index))));
    second.watch.answered(viewFrame(JSON.stringify({ id: index, ...end })));
    const count = `dewey_proxy_call_duration_seconds_count{upstream="a",outcome="${outcome}"} 1`;
    expect(await samples(metrics, "dewey_proxy_call_duration_seconds_count")).toContain(count);
  }
});

test("requests are open until they are answered or their session ends", async () => {
  const metrics = new Metrics();
  const meter = new Meter(metrics);
  const ends: string[] = [];
  const { watch, tap } = meter.session("a", { ...noTap, closed: (reason) => ends.push(reason) });
  const other = meter.session("a", noTap);
  for (const id of [1, 2]) watch.asked(viewFrame(JSON.stringify(call(id))));
  other.watch.asked(viewFrame(JSON.stringify(call(1))));
  expect(meter.openRequests).toBe(3);
  watch.answered(viewFrame('{"id":1,"result":{}}'));
  expect(meter.openRequests).toBe(2);
  tap.closed("bye");
  expect([meter.openRequests, ends]).toEqual([1, ["bye"]]);
  expect(await samples(metrics, "dewey_proxy_call_duration_seconds_count")).toContain(
    'dewey_proxy_call_duration_seconds_count{upstream="a",outcome="unanswered"} 1',
  );
});

test("the recorder's metrics are read from its health", async () => {
  const metrics = new Metrics();
  let health: RecorderHealth = {
    recording: true,
    not_recording_because: null,
    queued_records: 1,
    queued_bytes: 2,
    oldest_age_seconds: 3,
    last_delivery: "2026-01-01T00:00:00.500Z",
    last_error: null,
    delivered_messages: 4,
    redeliveries: 10,
    lost_frames: 5,
    lost_bytes: 6,
    damaged_bytes: 7,
    dropped_records: 8,
    set_aside: 9,
    set_aside_file: null,
  };
  meterRecorder(metrics, () => health);
  const values = async () =>
    (await metrics.response().text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  expect(await values()).toEqual([
    "dewey_recorder_recording 1",
    "dewey_recorder_queued_records 1",
    "dewey_recorder_queued_bytes 2",
    "dewey_recorder_oldest_age_seconds 3",
    `dewey_recorder_last_delivery_timestamp_seconds ${Date.parse("2026-01-01T00:00:00.500Z") / 1000}`,
    "dewey_recorder_delivered_messages_total 4",
    "dewey_recorder_redeliveries_total 10",
    "dewey_recorder_lost_frames_total 5",
    "dewey_recorder_lost_frame_bytes_total 6",
    "dewey_recorder_damaged_bytes_total 7",
    "dewey_recorder_dropped_records_total 8",
    "dewey_recorder_set_aside_records_total 9",
  ]);
  health = { ...health, recording: false, oldest_age_seconds: null, last_delivery: null };
  const idle = await values();
  for (const line of ["recording 0", "oldest_age_seconds 0", "last_delivery_timestamp_seconds 0"])
    expect(idle).toContain(`dewey_recorder_${line}`);
});
