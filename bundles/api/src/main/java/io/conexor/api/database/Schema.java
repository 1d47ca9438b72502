package io.conexor.api.database;

import org.osgi.annotation.versioning.ProviderType;

/** Registered once the tables of this product version exist. Whoever uses tables requires it. */
@ProviderType
public interface Schema {

  /** The newest migration applied. */
  String version();
}
