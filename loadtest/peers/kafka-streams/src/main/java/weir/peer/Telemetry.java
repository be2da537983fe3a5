package weir.peer;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.common.serialization.Deserializer;

/** One message of one device, as far as its number series go: what the windows are made of. */
record Telemetry(List<Sample> samples) {
  record Sample(String metric, long tsMs, double value) {}

  /** Reads Confluent-framed Avro: 0x00, schema id, body. Schemas come from the registry, once. */
  static final class Reader implements Deserializer<Telemetry> {
    private static final int FRAME_BYTES = 5;
    private final String registryUrl;
    private final Map<Integer, GenericDatumReader<GenericRecord>> readers =
        new ConcurrentHashMap<>();
    private final ThreadLocal<BinaryDecoder> decoders = new ThreadLocal<>();
    private final ThreadLocal<GenericRecord> records = new ThreadLocal<>();

    Reader(String registryUrl) {
      this.registryUrl = registryUrl;
    }

    @Override
    public Telemetry deserialize(String topic, byte[] frame) {
      int schemaId = ByteBuffer.wrap(frame).getInt(1);
      var reader = readers.computeIfAbsent(schemaId, this::readerOf);
      int bodyBytes = frame.length - FRAME_BYTES;
      var decoder =
          DecoderFactory.get().binaryDecoder(frame, FRAME_BYTES, bodyBytes, decoders.get());
      decoders.set(decoder);
      try {
        GenericRecord record = reader.read(records.get(), decoder);
        records.set(record);
        return new Telemetry(samplesOf(record));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    private static List<Sample> samplesOf(GenericRecord record) {
      List<Sample> samples = new ArrayList<>();
      for (Object each : (List<?>) record.get("numbers")) {
        GenericRecord series = (GenericRecord) each;
        String metric = (String) series.get("metric");
        long t0 = (long) series.get("t0");
        List<?> deltas = (List<?>) series.get("dt");
        List<?> values = (List<?>) series.get("v");
        for (int k = 0; k < deltas.size(); k++) {
          samples.add(new Sample(metric, t0 + (long) deltas.get(k), (double) values.get(k)));
        }
      }
      return samples;
    }

    private GenericDatumReader<GenericRecord> readerOf(int schemaId) {
      try {
        URI uri = URI.create(registryUrl + "/schemas/ids/" + schemaId);
        String answer =
            HttpClient.newHttpClient()
                .send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString())
                .body();
        String schema = new ObjectMapper().readTree(answer).get("schema").asText();
        return new StringReader(new Schema.Parser().parse(schema));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  /** Java's strings instead of Avro's own, because metrics are keys of a map. */
  private static final class StringReader extends GenericDatumReader<GenericRecord> {
    StringReader(Schema schema) {
      super(schema);
    }

    @Override
    protected Class<?> findStringClass(Schema schema) {
      return String.class;
    }
  }
}
