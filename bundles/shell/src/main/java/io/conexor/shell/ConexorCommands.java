package io.conexor.shell;

import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.health.Health;
import io.conexor.api.health.HealthCheck;
import io.conexor.api.node.Node;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.felix.service.command.CommandSession;
import org.jspecify.annotations.Nullable;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Reference;
import org.osgi.service.component.annotations.ReferenceCardinality;
import org.osgi.service.component.annotations.ReferencePolicyOption;

/**
 * {@code conexor:status}, {@code conexor:agents}, {@code conexor:sources}. What they ask about is
 * optional, so that they answer on a system that is broken too.
 */
@Component(
    service = ConexorCommands.class,
    property = {
      "osgi.command.scope=conexor",
      "osgi.command.function=status",
      "osgi.command.function=agents",
      "osgi.command.function=sources"
    })
public final class ConexorCommands {

  private final @Nullable Node node;
  private final @Nullable AgentDirectory directory;
  private final List<HealthCheck> checks;

  @Activate
  public ConexorCommands(
      @Reference(
              name = "node",
              cardinality = ReferenceCardinality.OPTIONAL,
              policyOption = ReferencePolicyOption.GREEDY)
          @Nullable Node node,
      @Reference(
              name = "directory",
              cardinality = ReferenceCardinality.OPTIONAL,
              policyOption = ReferencePolicyOption.GREEDY)
          @Nullable AgentDirectory directory,
      @Reference(name = "checks", policyOption = ReferencePolicyOption.GREEDY)
          List<HealthCheck> checks) {
    this.node = node;
    this.directory = directory;
    this.checks = List.copyOf(checks);
  }

  /** The state of this backend and of everything that reports its health. */
  public void status(CommandSession session) {
    List<String> lines = new ArrayList<>();
    lines.add(
        node == null
            ? "%s missing: no HTTP server runs".formatted(padded("node"))
            : "%s %s, version %s, %s since %s"
                .formatted(
                    padded("node"), node.id(), node.version(), node.state(), node.startedAt()));
    if (directory != null) {
      lines.add(
          "%s %d backend(s), %d agent link(s)"
              .formatted(padded("fleet"), directory.fleetSize(), directory.attached().size()));
    }
    checks.stream()
        .sorted(Comparator.comparing(HealthCheck::name))
        .forEach(
            check -> {
              Health health = check.check();
              lines.add(
                  "%s %s%s"
                      .formatted(
                          padded(check.name()),
                          health.status(),
                          health.reason().isEmpty() ? "" : ": " + health.reason()));
            });
    lines.forEach(session.getConsole()::println);
  }

  /** Every link of every agent to any backend. */
  public void agents(CommandSession session) {
    List<String> lines = new ArrayList<>();
    lines.add(
        "%-20s %-20s %-16s %-9s %s"
            .formatted("AGENT", "VERSION", "BACKEND", "IN FLIGHT", "SOURCES"));
    for (Attachment link : attached()) {
      lines.add(
          "%-20s %-20s %-16s %-9d %s%s"
              .formatted(
                  link.agentName(),
                  link.agentVersion(),
                  link.node(),
                  link.inFlight(),
                  link.sources().stream().map(SourceOffer::name).sorted().toList(),
                  link.isClosing() ? " closing" : ""));
    }
    lines.forEach(session.getConsole()::println);
  }

  /** Every data source that an attached agent offers, with the agents that do. */
  public void sources(CommandSession session) {
    Map<String, List<String>> agents = new TreeMap<>();
    Map<String, SourceOffer> offers = new TreeMap<>();
    for (Attachment link : attached()) {
      for (SourceOffer offer : link.sources()) {
        String key = link.org() + "/" + offer.name();
        offers.put(key, offer);
        List<String> names = agents.computeIfAbsent(key, k -> new ArrayList<>());
        String name =
            link.agentName()
                + (offer.state() == SourceOffer.State.UP ? "" : " (" + offer.state() + ")");
        if (!names.contains(name)) {
          names.add(name);
        }
      }
    }
    List<String> lines = new ArrayList<>();
    lines.add("%-20s %-12s %-24s %s".formatted("SOURCE", "ENGINE", "PRODUCT", "AGENTS"));
    offers.forEach(
        (key, offer) ->
            lines.add(
                "%-20s %-12s %-24s %s"
                    .formatted(
                        offer.name(), offer.engine(), offer.productVersion(), agents.get(key))));
    lines.forEach(session.getConsole()::println);
  }

  private static String padded(String name) {
    return "%-18s".formatted(name);
  }

  private List<Attachment> attached() {
    return directory == null
        ? List.of()
        : directory.attached().stream()
            .sorted(
                Comparator.comparing(Attachment::agentName).thenComparing(a -> a.node().toString()))
            .toList();
  }
}
