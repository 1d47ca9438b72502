package io.conexor.backplane.redis;

import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.LongAdder;

/** What happened so far, for health and metrics. */
final class Counters {

  final LongAdder published = new LongAdder();
  final LongAdder publishMicros = new LongAdder();
  final LongAdder publishFailed = new LongAdder();
  final LongAdder delivered = new LongAdder();
  final LongAdder duplicates = new LongAdder();
  final LongAdder gaps = new LongAdder();
  final LongAdder reads = new LongAdder();
  final LongAdder repairs = new LongAdder();
  final LongAdder rewinds = new LongAdder();
  final LongAdder sent = new LongAdder();
  final LongAdder received = new LongAdder();
  final LongAdder dropped = new LongAdder();

  Map<String, String> asMap() {
    Map<String, String> all = new TreeMap<>();
    long events = published.sum();
    all.put("events.published", Long.toString(events));
    all.put(
        "events.publish.micros.mean",
        Long.toString(events == 0 ? 0 : publishMicros.sum() / events));
    all.put("events.publish.failed", publishFailed.toString());
    all.put("events.delivered", delivered.toString());
    all.put("events.duplicates.suppressed", duplicates.toString());
    all.put("events.gaps", gaps.toString());
    all.put("events.reads", reads.toString());
    all.put("events.repairs", repairs.toString());
    all.put("events.rewinds", rewinds.toString());
    all.put("direct.sent", sent.toString());
    all.put("direct.received", received.toString());
    all.put("direct.dropped", dropped.toString());
    return all;
  }
}
