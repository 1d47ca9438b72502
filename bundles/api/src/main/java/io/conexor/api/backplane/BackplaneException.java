package io.conexor.api.backplane;

import io.conexor.api.ConexorException;
import java.io.Serial;
import org.jspecify.annotations.Nullable;

/** The backplane could not do it, or did not say. */
public final class BackplaneException extends ConexorException {

  @Serial private static final long serialVersionUID = 1L;

  public BackplaneException(Applied applied, String message, @Nullable Throwable cause) {
    super(Blame.DEPENDENCY, applied, "backplane_unavailable", message, cause);
  }
}
