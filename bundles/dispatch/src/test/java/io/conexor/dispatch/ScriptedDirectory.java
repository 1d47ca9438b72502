package io.conexor.dispatch;

import io.conexor.api.Subscription;
import io.conexor.api.agent.AgentDirectory;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.LinkId;
import io.conexor.api.catalog.OrgId;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/** The list of all links, the same for all nodes. */
final class ScriptedDirectory implements AgentDirectory {
  private final List<Consumer<OrgId>> changes = new CopyOnWriteArrayList<>();
  private volatile List<Attachment> serving = List.of();

  @Override
  public List<Attachment> serving(OrgId org, String source) {
    return serving;
  }

  @Override
  public List<Attachment> attached(OrgId org) {
    return serving;
  }

  @Override
  public List<Attachment> attached() {
    return serving;
  }

  @Override
  public int fleetSize() {
    return 1;
  }

  @Override
  public synchronized void announce(Attachment attachment) {
    List<Attachment> next = new ArrayList<>(serving);
    next.add(attachment);
    serving = List.copyOf(next);
    changes.forEach(c -> c.accept(World.ORG));
  }

  @Override
  public synchronized void withdraw(LinkId link, String reason) {
    serving = serving.stream().filter(a -> !a.link().equals(link)).toList();
  }

  @Override
  public Subscription onChange(Consumer<OrgId> consumer) {
    changes.add(consumer);
    return () -> changes.remove(consumer);
  }
}
