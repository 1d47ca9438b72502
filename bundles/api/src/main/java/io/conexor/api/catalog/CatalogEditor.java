package io.conexor.api.catalog;

import io.conexor.api.call.SourceSchema;
import org.osgi.annotation.versioning.ProviderType;

/**
 * Changes what an organisation owns. Ids come from the caller, so that repeating a change is safe:
 * {@code put} creates or replaces.
 *
 * <p><b>Threads.</b> Safe for concurrent use. Methods block for at most the database deadline; not
 * for I/O threads.
 *
 * <p><b>Failure.</b> {@link io.conexor.api.ConexorException}: {@code CALLER} for a name that is
 * taken or invalid or a reference to nothing, {@code DEPENDENCY} with {@code Applied.UNKNOWN} when
 * the outcome could not be settled.
 */
@ProviderType
public interface CatalogEditor {

  void put(Organisation organisation);

  void put(Agent agent);

  void put(DataSource source);

  /** Creates a source unless there is one of that name; true when it is new. */
  boolean add(DataSource source);

  void put(Tool tool);

  void put(McpServer server);

  /** Stores the schema last discovered for a source; ignored when an equal one is stored. */
  void put(OrgId org, SourceSchema schema);

  /** Removes the agent and its keys; its sources stay. False when there was none. */
  boolean remove(OrgId org, AgentId agent);

  /** Removes a source with its schema. False when there was none. */
  boolean removeSource(OrgId org, String name);

  boolean remove(OrgId org, ToolId tool);

  boolean remove(OrgId org, McpServerId server);
}
