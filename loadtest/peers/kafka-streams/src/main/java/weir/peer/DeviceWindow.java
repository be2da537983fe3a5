package weir.peer;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/**
 * One window of one device: count, sum, min and max of each metric. All metrics of a device share
 * an entry of the store: one look-up a record instead of one a sample.
 *
 * <pre>
 *   window = metrics i32, { nameBytes i32, name, count i64, sum f64, min f64, max f64 }*
 * </pre>
 */
final class DeviceWindow {
  private static final int FIELDS_BYTES = 4 + 8 + 8 + 8 + 8;

  private static final class Stats {
    final String metric;
    long count;
    double sum;
    double min = Double.POSITIVE_INFINITY;
    double max = Double.NEGATIVE_INFINITY;

    Stats(String metric) {
      this.metric = metric;
    }
  }

  /** Few, so that looking through them costs less than a map. */
  private final List<Stats> metrics = new ArrayList<>(2);

  DeviceWindow add(Telemetry telemetry) {
    for (Telemetry.Sample sample : telemetry.samples()) {
      Stats stats = statsOf(sample.metric());
      stats.count += 1;
      stats.sum += sample.value();
      stats.min = Math.min(stats.min, sample.value());
      stats.max = Math.max(stats.max, sample.value());
    }
    return this;
  }

  static Serde<DeviceWindow> serde() {
    return Serdes.serdeFrom(
        (topic, window) -> window == null ? null : window.toBytes(),
        (topic, bytes) -> bytes == null ? null : of(ByteBuffer.wrap(bytes)));
  }

  private Stats statsOf(String metric) {
    for (Stats stats : metrics) if (stats.metric.equals(metric)) return stats;
    Stats added = new Stats(metric);
    metrics.add(added);
    return added;
  }

  private byte[] toBytes() {
    int size = 4;
    for (Stats stats : metrics) size += FIELDS_BYTES + utf8(stats.metric).length;
    ByteBuffer bytes = ByteBuffer.allocate(size).putInt(metrics.size());
    for (Stats stats : metrics) {
      byte[] name = utf8(stats.metric);
      bytes.putInt(name.length).put(name).putLong(stats.count);
      bytes.putDouble(stats.sum).putDouble(stats.min).putDouble(stats.max);
    }
    return bytes.array();
  }

  private static DeviceWindow of(ByteBuffer bytes) {
    DeviceWindow window = new DeviceWindow();
    for (int left = bytes.getInt(); left > 0; left--) {
      byte[] name = new byte[bytes.getInt()];
      bytes.get(name);
      Stats stats = new Stats(new String(name, StandardCharsets.UTF_8));
      stats.count = bytes.getLong();
      stats.sum = bytes.getDouble();
      stats.min = bytes.getDouble();
      stats.max = bytes.getDouble();
      window.metrics.add(stats);
    }
    return window;
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
