import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.Pipeline;

/**
 * The JVM reference: Kafka Streams with {@code exactly_once_v2}, two threads, RocksDB stores.
 *
 * <p>A store of what was seen drops repeated facts; each fact becomes its three cells, which are grouped (so
 * they pass through a repartition topic) and counted; sums go to Redis ten times a second.
 *
 * <p>Not guaranteed: what Redis holds follows Kafka's transactions without being part of them, so a Redis that
 * goes back in time is mended only where a cell is touched again. The hour is that of the report which came
 * first. What was seen is kept for ever.
 *
 * <p>Run as {@code java -cp JARS KafkaStreamsPeer.java BOOTSTRAP TOPIC REDIS_URL}; its last line is what {@code
 * tests.benchmarks.peer.read_last_line} reads. The facts are those of {@code tests.benchmarks.peers.work}.
 */
public final class KafkaStreamsPeer {
  private static final List<String> FIELDS =
      List.of("sent", "delivered", "opened", "clicked", "bounced", "complained");

  /** Where an event of one type has its time and its recipients; null: it is about the message. */
  private record Kind(String field, String body, String recipients) {}

  private static final Map<String, Kind> KINDS =
      Map.of(
          "Send", new Kind("sent", "mail", "destination"),
          "Delivery", new Kind("delivered", "delivery", "recipients"),
          "Open", new Kind("opened", "open", null),
          "Click", new Kind("clicked", "click", null),
          "Bounce", new Kind("bounced", "bounce", "bouncedRecipients"),
          "Complaint", new Kind("complained", "complaint", "complainedRecipients"));

  /** A fact: what tells it apart, and its cells, each a Redis key and a field with a line break between. */
  private record Fact(String name, List<String> cells) {}

  private static final ObjectMapper JSON = new ObjectMapper();

  private static List<Fact> facts(byte[] value) throws IOException {
    JsonNode event = JSON.readTree(value);
    Kind kind = KINDS.get(event.get("eventType").textValue());
    if (kind == null) {
      return List.of();
    }
    JsonNode mail = event.get("mail");
    JsonNode body = event.get(kind.body());
    JsonNode tags = mail.get("tags");
    String tenant = tags.get("tenant").get(0).textValue();
    String cell = "\n" + body.get("timestamp").textValue().substring(0, 13) + " " + kind.field();
    List<String> cells =
        List.of(
            "tenant:" + tenant + cell,
            "sequence:" + tenant + ":" + tags.get("sequence").get(0).textValue() + cell,
            "template:" + tenant + ":" + tags.get("template").get(0).textValue() + cell);
    String name = mail.get("messageId").textValue() + " " + kind.field() + " ";
    if (kind.recipients() == null) {
      return List.of(new Fact(name, cells));
    }
    List<Fact> found = new ArrayList<>();
    for (JsonNode person : body.get(kind.recipients())) {
      String address = person.isObject() ? person.get("emailAddress").textValue() : person.textValue();
      found.add(new Fact(name + address, cells));
    }
    return found;
  }

  /** How far the job is; shared by all tasks. */
  private static final class Progress {
    final long events;
    final CountDownLatch complete = new CountDownLatch(1);
    final AtomicLong read = new AtomicLong();
    final AtomicLong counted = new AtomicLong();
    final AtomicLong written = new AtomicLong();
    volatile long firstNanos;
    volatile long lastNanos;
    volatile Throwable failure;

    Progress(long events) {
      this.events = events;
    }

    /** An event comes; the clock starts with the first one. */
    void reads() {
      if (read.get() == 0) {
        firstNanos = System.nanoTime();
      }
    }

    /** Sums are in Redis, with so many more facts of tenants in them; the last one stops the clock. */
    void wrote(long more) {
      lastNanos = System.nanoTime();
      written.addAndGet(more);
    }

    /** Look whether all is done. */
    void look() {
      if (read.get() == events && written.get() == counted.get()) {
        complete.countDown();
      }
    }
  }

  /** Drops what was seen, and sends a fact's cells on. */
  private static final class OnlyNew implements Processor<byte[], byte[], String, String> {
    private final Progress progress;
    private ProcessorContext<String, String> context;
    private KeyValueStore<String, String> seen;

    OnlyNew(Progress progress) {
      this.progress = progress;
    }

    @Override
    public void init(ProcessorContext<String, String> context) {
      this.context = context;
      this.seen = context.getStateStore("seen");
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
      progress.reads();
      try {
        for (Fact fact : facts(record.value())) {
          if (seen.putIfAbsent(fact.name(), "") == null) {
            progress.counted.incrementAndGet();
            for (String cell : fact.cells()) {
              context.forward(new Record<>(cell, "", record.timestamp()));
            }
          }
        }
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
      progress.read.incrementAndGet();
    }
  }

  /** Writes sums to Redis, those of the last tenth of a second together. */
  private static final class ToRedis implements Processor<String, Long, Void, Void> {
    private final Progress progress;
    private final Jedis redis;
    private final Map<String, Long> changed = new HashMap<>();
    private final Map<String, Long> tenants = new HashMap<>();

    ToRedis(Progress progress, String url) {
      this.progress = progress;
      this.redis = new Jedis(URI.create(url));
    }

    @Override
    public void init(ProcessorContext<Void, Void> context) {
      context.schedule(Duration.ofMillis(100), PunctuationType.WALL_CLOCK_TIME, at -> look());
    }

    @Override
    public void process(Record<String, Long> sum) {
      changed.put(sum.key(), sum.value());
    }

    private void look() {
      if (!changed.isEmpty()) {
        write();
      }
      progress.look();
    }

    private void write() {
      long more = 0;
      try (Pipeline pipeline = redis.pipelined()) {
        for (Map.Entry<String, Long> sum : changed.entrySet()) {
          String[] cell = sum.getKey().split("\n");
          pipeline.hset(cell[0], cell[1], sum.getValue().toString());
          if (cell[0].startsWith("tenant:")) {
            Long had = tenants.put(sum.getKey(), sum.getValue());
            more += sum.getValue() - (had == null ? 0 : had);
          }
        }
      }
      changed.clear();
      progress.wrote(more);
    }

    @Override
    public void close() {
      redis.close();
    }
  }

  private static Topology topology(String topic, String redisUrl, Progress progress) {
    StreamsBuilder builder = new StreamsBuilder();
    builder.addStateStore(
        Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore("seen"), Serdes.String(), Serdes.String()));
    builder.stream(topic, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
        .process(() -> new OnlyNew(progress), "seen")
        .groupByKey(Grouped.with(Serdes.String(), Serdes.String()))
        .count()
        .toStream()
        .process(() -> new ToRedis(progress, redisUrl));
    return builder.build();
  }

  private static long size(String bootstrap, String topic) {
    Map<String, Object> settings = Map.of(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
    ByteArrayDeserializer bytes = new ByteArrayDeserializer();
    try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings, bytes, bytes)) {
      Collection<TopicPartition> partitions =
          consumer.partitionsFor(topic).stream()
              .map(each -> new TopicPartition(topic, each.partition()))
              .toList();
      return consumer.endOffsets(partitions).values().stream().mapToLong(Long::longValue).sum();
    }
  }

  private static Map<String, long[]> totals(String redisUrl) {
    Map<String, long[]> totals = new TreeMap<>();
    try (Jedis redis = new Jedis(URI.create(redisUrl))) {
      for (String key : redis.keys("tenant:*")) {
        long[] row = new long[FIELDS.size()];
        redis
            .hgetAll(key)
            .forEach((field, sum) -> row[FIELDS.indexOf(field.split(" ")[1])] += Long.parseLong(sum));
        totals.put(key.substring("tenant:".length()), row);
      }
    }
    return totals;
  }

  public static void main(String[] given) throws Exception {
    String bootstrap = given[0];
    String topic = given[1];
    String redisUrl = given[2];
    Path directory = Files.createTempDirectory("kafka-streams-peer-");
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, directory.getFileName().toString());
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, directory.toString());
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    Progress progress = new Progress(size(bootstrap, topic));
    try (KafkaStreams streams = new KafkaStreams(topology(topic, redisUrl, progress), settings)) {
      streams.setUncaughtExceptionHandler(
          error -> {
            progress.failure = error;
            progress.complete.countDown();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
          });
      streams.start();
      progress.complete.await();
    }
    if (progress.failure != null) {
      throw new IllegalStateException(progress.failure);
    }
    Map<String, Object> told = new TreeMap<>();
    told.put("events", progress.read.get());
    told.put("seconds", (progress.lastNanos - progress.firstNanos) / 1e9);
    told.put("totals", totals(redisUrl));
    System.out.println(JSON.writeValueAsString(told));
    try (var files = Files.walk(directory)) {
      for (Path each : files.sorted((one, other) -> other.compareTo(one)).toList()) {
        Files.delete(each);
      }
    }
  }
}
