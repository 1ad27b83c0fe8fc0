import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Produced;

/** Counts the brands of events by Kafka Streams until it is told to stop: a repartition topic and a changelog between. */
public class Streams {
    public static void main(String[] words) throws Exception {
        var properties = new Properties();
        properties.putAll(Map.of(
            "bootstrap.servers", words[0], "application.id", words[1], "state.dir", words[4],
            "default.key.serde", Serdes.String().getClass(), "default.value.serde", Serdes.String().getClass(),
            "dsl.store.suppliers.class", "org.apache.kafka.streams.state.BuiltInDslStoreSuppliers$InMemoryDslStoreSuppliers",
            "commit.interval.ms", 200, "auto.offset.reset", "earliest", "statestore.cache.max.bytes", 0));
        var builder = new StreamsBuilder();
        builder.<String, String>stream(words[2])
            .selectKey((key, line) -> line.split(",", -1)[5])
            .groupByKey(Grouped.with(Serdes.String(), Serdes.String()))
            .count()
            .toStream()
            .mapValues(count -> Long.toString(count))
            .to(words[3], Produced.with(Serdes.String(), Serdes.String()));
        try (var streams = new KafkaStreams(builder.build(), properties)) {
            streams.setUncaughtExceptionHandler(error -> {
                error.printStackTrace();
                System.exit(3);
                return null;
            });
            streams.start();
            System.in.read();
            streams.close(Duration.ofSeconds(20));
        }
    }
}
