package io.conexor.access;

import io.conexor.api.Subscription;
import io.conexor.api.call.SourceSchema;
import io.conexor.api.catalog.Agent;
import io.conexor.api.catalog.AgentId;
import io.conexor.api.catalog.Catalog;
import io.conexor.api.catalog.CatalogEditor;
import io.conexor.api.catalog.DataSource;
import io.conexor.api.catalog.McpServer;
import io.conexor.api.catalog.McpServerId;
import io.conexor.api.catalog.OrgCatalog;
import io.conexor.api.catalog.OrgId;
import io.conexor.api.catalog.Organisation;
import io.conexor.api.catalog.Tool;
import io.conexor.api.catalog.ToolId;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/** Plays catalog changes; remembers which organisations were put. */
final class ScriptedCatalog implements Catalog, CatalogEditor {

  final List<Organisation> put = new CopyOnWriteArrayList<>();
  private final List<Consumer<OrgId>> listeners = new CopyOnWriteArrayList<>();

  void change(OrgId org) {
    listeners.forEach(listener -> listener.accept(org));
  }

  @Override
  public Subscription onChange(Consumer<OrgId> listener) {
    listeners.add(listener);
    return () -> listeners.remove(listener);
  }

  @Override
  public void put(Organisation organisation) {
    put.add(organisation);
  }

  @Override
  public CompletionStage<Optional<OrgCatalog>> bySlug(String slug) {
    throw new UnsupportedOperationException();
  }

  @Override
  public CompletionStage<Optional<OrgCatalog>> byId(OrgId org) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void put(Agent agent) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void put(DataSource source) {
    throw new UnsupportedOperationException();
  }

  @Override
  public boolean add(DataSource source) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void put(Tool tool) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void put(McpServer server) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void put(OrgId org, SourceSchema schema) {
    throw new UnsupportedOperationException();
  }

  @Override
  public boolean remove(OrgId org, AgentId agent) {
    throw new UnsupportedOperationException();
  }

  @Override
  public boolean removeSource(OrgId org, String name) {
    throw new UnsupportedOperationException();
  }

  @Override
  public boolean remove(OrgId org, ToolId tool) {
    throw new UnsupportedOperationException();
  }

  @Override
  public boolean remove(OrgId org, McpServerId server) {
    throw new UnsupportedOperationException();
  }
}
