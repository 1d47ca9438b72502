package io.conexor.agent.registry;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.Subscription;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.agent.SourceOffer;
import io.conexor.api.audit.AuditId;
import io.conexor.api.audit.AuditRecord;
import io.conexor.api.audit.AuditTrail;
import io.conexor.api.catalog.Agent;
import io.conexor.api.catalog.Catalog;
import io.conexor.api.catalog.CatalogEditor;
import io.conexor.api.catalog.DataSource;
import io.conexor.api.catalog.OrgCatalog;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.node.Node;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Puts sources that agents bring along into the catalog of their organisation: once for each link,
 * so that a source somebody removes comes back at the earliest when its agent links again. What the
 * agent may not serve is left alone, and what is there already is not touched.
 */
@Component(
    immediate = true, // it listens
    service = {})
public final class AnnouncedSources {

  private static final Logger log = LoggerFactory.getLogger(AnnouncedSources.class);
  private static final Duration PATIENCE = Duration.ofMillis(100);
  private static final Duration RETRY = Duration.ofSeconds(2);

  private final AgentDirectory directory;
  private final Catalog catalog;
  private final CatalogEditor editor;
  private final AuditTrail audit;
  private final Node node;
  private final ScheduledExecutorService worker;
  private final Subscription changes;

  /** Organisations to look at; added by listeners, taken by the worker. */
  private final Set<OrgId> due = ConcurrentHashMap.newKeySet();

  /** What was done of each link: an agent may bring more later. The worker's own. */
  private final Map<LinkId, Set<String>> done = new HashMap<>();

  @Activate
  public AnnouncedSources(
      @Reference(name = "directory") AgentDirectory directory,
      @Reference(name = "catalog") Catalog catalog,
      @Reference(name = "editor") CatalogEditor editor,
      @Reference(name = "audit") AuditTrail audit,
      @Reference(name = "node") Node node) {
    this.directory = directory;
    this.catalog = catalog;
    this.editor = editor;
    this.audit = audit;
    this.node = node;
    this.worker =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "conexor-agent-registry-sources");
              thread.setDaemon(true);
              return thread;
            });
    this.changes = directory.onChange(org -> look(org, PATIENCE));
    directory.attached().forEach(link -> look(link.org(), PATIENCE));
  }

  @Deactivate
  void close() {
    changes.close();
    worker.shutdownNow();
  }

  /** Many changes in a moment are looked at once. */
  private void look(OrgId org, Duration delay) {
    if (!due.add(org)) {
      return;
    }
    try {
      var unused = worker.schedule(() -> register(org), delay.toMillis(), TimeUnit.MILLISECONDS);
    } catch (RejectedExecutionException e) {
      log.debug("closed", e);
    }
  }

  private void register(OrgId org) {
    due.remove(org);
    try {
      Set<LinkId> alive = new HashSet<>();
      for (Attachment link : directory.attached()) {
        alive.add(link.link());
        Set<String> names =
            link.sources().stream().map(SourceOffer::name).collect(Collectors.toSet());
        if (link.org().equals(org)
            && link.node().equals(node.id())
            && !names.equals(done.get(link.link()))) {
          register(link);
          done.put(link.link(), names);
        }
      }
      done.keySet().retainAll(alive);
    } catch (RuntimeException e) {
      Throwable cause = e instanceof CompletionException && e.getCause() != null ? e.getCause() : e;
      if (cause instanceof ConexorException known && known.blame() == Blame.DEPENDENCY) {
        log.debug("sources of {} are registered later: {}", org, known.text());
      } else {
        log.warn("sources of {} could not be registered, next attempt in {}", org, RETRY, cause);
      }
      look(org, RETRY);
    }
  }

  private void register(Attachment link) {
    Optional<OrgCatalog> found = catalog.byId(link.org()).toCompletableFuture().join();
    if (found.isEmpty()) {
      return;
    }
    OrgCatalog org = found.get();
    Agent agent = org.agents().get(link.agent());
    for (SourceOffer offer : link.sources()) {
      boolean isAllowed =
          agent != null
              && (agent.allowedSources().isEmpty()
                  || agent.allowedSources().contains(offer.name()));
      if (org.sources().containsKey(offer.name()) || !isAllowed) {
        continue;
      }
      try {
        boolean isNew =
            editor.add(new DataSource(link.org(), offer.name(), offer.engine(), "", Instant.now()));
        if (isNew) {
          log.info("agent '{}' brought source '{}'", link.agentName(), offer.name());
          record(link, offer.name());
        }
      } catch (ConexorException e) {
        if (e.blame() != Blame.CALLER) {
          throw e;
        }
        log.warn(
            "source '{}' of agent '{}' is not registered: {}",
            offer.name(),
            link.agentName(),
            e.text());
      }
    }
  }

  private void record(Attachment link, String source) {
    audit.record(
        new AuditRecord(
            AuditId.random(),
            Instant.now(),
            link.org(),
            "source.create",
            AuditRecord.Outcome.OK,
            "agent:" + link.agent(),
            null,
            null,
            node.id().value(),
            null,
            null,
            source,
            link.agentName(),
            "source:" + source,
            null,
            0,
            0,
            false,
            0,
            null));
  }
}
