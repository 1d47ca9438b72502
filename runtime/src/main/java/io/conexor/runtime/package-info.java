/** Starts Felix, reads features and configuration, and holds no business code. */
@NullMarked
package io.conexor.runtime;

import org.jspecify.annotations.NullMarked;
