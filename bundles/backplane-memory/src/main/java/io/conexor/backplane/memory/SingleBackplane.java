package io.conexor.backplane.memory;

import io.conexor.api.Subscription;
import io.conexor.api.backplane.Backplane;
import io.conexor.api.backplane.Channel;
import io.conexor.api.backplane.Position;
import io.conexor.api.backplane.Topic;
import io.conexor.api.node.Node;
import io.conexor.api.node.NodeId;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** The backplane of a fleet of one. */
@Component(service = Backplane.class, configurationPid = SingleBackplane.PID)
@Designate(ocd = SingleBackplane.Config.class)
public final class SingleBackplane implements Backplane {

  static final String PID = "io.conexor.backplane.memory";

  @ObjectClassDefinition(
      name = "Backplane in memory",
      description = "Events and messages of one backend to itself; for one backend only")
  @interface Config {
    @AttributeDefinition(
        name = "Most events",
        description = "Events kept per partition of a topic (there are 4). 10..1000000",
        min = "10",
        max = "1000000")
    int max_events() default 10_000;

    @AttributeDefinition(
        name = "Most bytes",
        description = "Bytes of payload kept per partition of a topic. 1048576..1073741824",
        min = "1048576",
        max = "1073741824")
    int max_bytes() default 16_777_216;
  }

  private final MemoryNetwork network;
  private final Backplane self;

  @Activate
  public SingleBackplane(@Reference(name = "node") Node node, Config config) {
    this(
        node.id(),
        within("max.events", config.max_events(), 10, 1_000_000),
        within("max.bytes", config.max_bytes(), 1 << 20, 1 << 30));
  }

  SingleBackplane(NodeId id, int maxEvents, int maxBytes) {
    network = new MemoryNetwork(maxEvents, maxBytes);
    self = network.node(id);
  }

  @Deactivate
  public void close() {
    network.close();
  }

  @Override
  public int partitionOf(Topic topic, String key) {
    return self.partitionOf(topic, key);
  }

  @Override
  public CompletionStage<Position> publish(Topic topic, String key, byte[] payload) {
    return self.publish(topic, key, payload);
  }

  @Override
  public Subscription subscribe(Topic topic, Map<Integer, Position> from, EventListener listener) {
    return self.subscribe(topic, from, listener);
  }

  @Override
  public CompletionStage<Void> send(NodeId to, Channel channel, byte[] payload) {
    return self.send(to, channel, payload);
  }

  @Override
  public Subscription receive(Channel channel, MessageListener listener) {
    return self.receive(channel, listener);
  }

  @Override
  public CompletionStage<byte[]> request(
      NodeId to, Channel channel, byte[] payload, Duration timeout) {
    return self.request(to, channel, payload, timeout);
  }

  @Override
  public Subscription answer(Channel channel, Responder responder) {
    return self.answer(channel, responder);
  }

  private static int within(String key, int value, int min, int max) {
    if (value < min || value > max) {
      throw new IllegalArgumentException(
          PID + ": " + key + " = " + value + " is outside " + min + ".." + max);
    }
    return value;
  }
}
