package io.conexor.resume.redis;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.hub.ResumeStore;
import io.conexor.api.node.NodeId;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferencePolicy;
import org.osgi.service.component.annotations.ReferencePolicyOption;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;
import org.redisson.api.RScript;
import org.redisson.api.RedissonClient;
import org.redisson.client.codec.ByteArrayCodec;

/** Resumable connections in Redis. Keys and commands: README.md of this bundle. */
@Component(service = ResumeStore.class, configurationPid = RedisResumeStore.PID)
@Designate(ocd = RedisResumeStore.Config.class)
public final class RedisResumeStore implements ResumeStore {

  static final String PID = "io.conexor.resume.redis";

  @ObjectClassDefinition(
      name = "Resumable connections in Redis",
      description = "Keeps what another backend needs to resume a connection")
  @interface Config {
    @AttributeDefinition(
        name = "Key prefix",
        description = "Starts every key; the same on all backends. 1..32 of a-z, 0-9 and :")
    String key_prefix() default "conexor:";
  }

  private static final Duration SHORTEST = Duration.ofSeconds(1);
  private static final Duration LONGEST = Duration.ofDays(1);
  private static final byte[] YES = bytes("1");
  private static final byte[] NO = bytes("0");
  private static final byte[] NOTHING = new byte[0];

  private final String prefix;

  // Written by declarative services (the new one is bound before the old is unbound), read by all.
  private volatile @Nullable RedissonClient redis;

  @Activate
  public RedisResumeStore(Config config) {
    this(checked(config.key_prefix()));
  }

  private RedisResumeStore(String prefix) {
    this.prefix = prefix;
  }

  /** On a client that its owner closes. */
  public RedisResumeStore(RedissonClient client) {
    this("conexor:");
    this.redis = client;
  }

  private static String checked(String prefix) {
    if (!prefix.matches("[a-z0-9:]{1,32}")) {
      throw new IllegalArgumentException(
          PID + ": key.prefix = '" + prefix + "' is not 1..32 of a-z, 0-9 and :");
    }
    return prefix;
  }

  @Reference(
      name = "redis",
      target = "(!(conexor.joining=true))",
      policy = ReferencePolicy.DYNAMIC,
      policyOption = ReferencePolicyOption.GREEDY)
  void bindRedis(RedissonClient client) {
    redis = client;
  }

  void unbindRedis(RedissonClient client) {
    if (redis == client) {
      redis = null;
    }
  }

  @Override
  public CompletionStage<Saved> save(
      String connection, NodeId owner, long fence, Change change, Duration timeToLive) {
    List<Object> args = new ArrayList<>(Scripts.SAVE_HEADER + change.messages().size());
    args.add(bytes(owner.value()));
    args.add(bytes(Long.toString(fence)));
    args.add(change.isWhole() ? YES : NO);
    args.add(change.facts().isPresent() ? YES : NO);
    args.add(change.facts().orElse(NOTHING));
    args.add(bytes(Long.toString(change.first())));
    args.add(bytes(Long.toString(change.acknowledged())));
    args.add(millis(timeToLive));
    args.addAll(change.messages());
    return eval(Scripts.SAVE, connection, args)
        .thenApply(
            answer ->
                switch (((Number) answer.get(0)).intValue()) {
                  case 0 -> Saved.SAVED;
                  case 1 -> Saved.BEHIND;
                  default -> Saved.TAKEN;
                });
  }

  @Override
  public CompletionStage<Optional<Kept>> find(String connection) {
    return eval(Scripts.FIND, connection, List.of()).thenApply(RedisResumeStore::kept);
  }

  @Override
  public CompletionStage<Optional<Kept>> takeOver(
      String connection, NodeId by, Duration timeToLive) {
    return eval(Scripts.TAKE_OVER, connection, List.of(bytes(by.value()), millis(timeToLive)))
        .thenApply(RedisResumeStore::kept);
  }

  @Override
  public CompletionStage<Void> remove(String connection, long fence) {
    return eval(Scripts.REMOVE, connection, List.of(bytes(Long.toString(fence))))
        .thenApply(answer -> null);
  }

  private CompletionStage<List<Object>> eval(String script, String connection, List<?> args) {
    RedissonClient client = redis;
    if (client == null) {
      return CompletableFuture.failedFuture(new IllegalStateException("no Redis is connected"));
    }
    String hash = prefix + "{" + connection + "}:resume";
    try {
      return client
          .getScript(ByteArrayCodec.INSTANCE)
          .evalAsync(
              RScript.Mode.READ_WRITE,
              script,
              RScript.ReturnType.LIST,
              List.of(hash, hash + ":messages"),
              args.toArray());
    } catch (RuntimeException e) {
      return CompletableFuture.failedFuture(e); // the client was shut down
    }
  }

  private static Optional<Kept> kept(List<Object> answer) {
    if (answer.isEmpty()) {
      return Optional.empty();
    }
    List<byte[]> messages = new ArrayList<>(answer.size());
    for (Object message : answer.subList(4, answer.size())) {
      messages.add((byte[]) message);
    }
    return Optional.of(
        new Kept(
            new NodeId(text(answer.get(1))),
            Long.parseLong(text(answer.get(0))),
            (byte[]) answer.get(2),
            Long.parseLong(text(answer.get(3))),
            messages));
  }

  private static byte[] millis(Duration timeToLive) {
    if (timeToLive.compareTo(SHORTEST) < 0 || timeToLive.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException("time to live " + timeToLive + " is outside 1 s..1 d");
    }
    return bytes(Long.toString(timeToLive.toMillis()));
  }

  private static String text(Object bytes) {
    return new String((byte[]) bytes, UTF_8);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(UTF_8);
  }
}
