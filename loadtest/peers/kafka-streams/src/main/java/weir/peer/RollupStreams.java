package weir.peer;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The same 10 s and 1 min windows as the pipeline's, by Kafka Streams: count, sum, min and max.
 *
 * <p>Two settings keep its counts right on a backlog. The records' own key is grouped by, because
 * the documented groupBy of a new key goes through a repartition topic, where the partitions of a
 * backlog overtake each other and what is behind is dropped as late. And windows are kept for a
 * day: the default, size and grace, drops windows of partitions that are read later.
 *
 * <p>Arguments: brokers, registry URL, input topic, application id, processing guarantee, state
 * folder. Prints "running" when its tasks are assigned.
 */
public final class RollupStreams {
  private static final List<Long> RESOLUTIONS_MS = List.of(10_000L, 60_000L);
  private static final Duration LATENESS = Duration.ofSeconds(15);
  private static final Duration RETENTION = Duration.ofDays(1);
  /** As often as the pipeline flushes. Without transactions each commit flushes RocksDB: rarer. */
  private static final int COMMIT_INTERVAL_MS = 1_000;
  private static final int COMMIT_INTERVAL_AT_LEAST_ONCE_MS = 10_000;
  /** Cheaper here than the default of 10 MiB, and than stores in memory. */
  private static final long CACHE_BYTES = 64L << 20;

  private RollupStreams() {}

  public static void main(String[] args) throws Exception {
    String brokers = args[0];
    String topic = args[2];
    String application = args[3];
    Properties properties = new Properties();
    properties.putAll(
        Map.of(
            StreamsConfig.APPLICATION_ID_CONFIG, application,
            StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers,
            StreamsConfig.PROCESSING_GUARANTEE_CONFIG, args[4],
            StreamsConfig.STATE_DIR_CONFIG, args[5],
            StreamsConfig.REPLICATION_FACTOR_CONFIG, 1,
            StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, commitIntervalMs(args[4]),
            StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, CACHE_BYTES,
            ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest"));
    createOutputTopics(brokers, topic, application);
    KafkaStreams streams = new KafkaStreams(topology(topic, application, args[1]), properties);
    streams.setStateListener(
        (state, before) -> {
          if (state == KafkaStreams.State.RUNNING) System.out.println("running");
          if (state == KafkaStreams.State.ERROR) Runtime.getRuntime().halt(1);
        });
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
  }

  private static int commitIntervalMs(String guarantee) {
    return guarantee.equals(StreamsConfig.AT_LEAST_ONCE)
        ? COMMIT_INTERVAL_AT_LEAST_ONCE_MS
        : COMMIT_INTERVAL_MS;
  }

  private static Topology topology(String topic, String application, String registryUrl) {
    StreamsBuilder builder = new StreamsBuilder();
    var telemetry =
        Serdes.serdeFrom(
            (String to, Telemetry value) -> {
              throw new UnsupportedOperationException("telemetry is only read");
            },
            new Telemetry.Reader(registryUrl));
    // Ticks of the pipeline, which have no key, carry no samples.
    KStream<String, Telemetry> samples =
        builder.stream(
                topic,
                Consumed.with(Serdes.String(), telemetry)
                    .withTimestampExtractor((record, partitionTime) -> tsMsOf(record.value())))
            .filter((key, value) -> key != null);
    for (long resolutionMs : RESOLUTIONS_MS) {
      Duration size = Duration.ofMillis(resolutionMs);
      samples
          .groupByKey(Grouped.with(Serdes.String(), telemetry))
          .windowedBy(TimeWindows.ofSizeAndGrace(size, LATENESS))
          .aggregate(
              DeviceWindow::new,
              (key, value, window) -> window.add(value),
              Materialized.<String, DeviceWindow, WindowStore<Bytes, byte[]>>as(
                      "windows-" + resolutionMs)
                  .withKeySerde(Serdes.String())
                  .withValueSerde(DeviceWindow.serde())
                  .withRetention(RETENTION))
          .toStream()
          .to(
              outputTopic(application, resolutionMs),
              Produced.with(
                  WindowedSerdes.timeWindowedSerdeFrom(String.class, resolutionMs),
                  DeviceWindow.serde()));
    }
    return builder.build();
  }

  private static long tsMsOf(Object value) {
    List<Telemetry.Sample> samples = ((Telemetry) value).samples();
    return samples.isEmpty() ? 0 : samples.get(0).tsMs();
  }

  private static void createOutputTopics(String brokers, String topic, String application)
      throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", brokers))) {
      int partitions =
          admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
      admin
          .createTopics(
              RESOLUTIONS_MS.stream()
                  .map(ms -> outputTopic(application, ms))
                  .map(name -> new NewTopic(name, Optional.of(partitions), Optional.empty()))
                  .toList())
          .all()
          .get();
    }
  }

  private static String outputTopic(String application, long resolutionMs) {
    return application + "-windows-" + resolutionMs;
  }
}
