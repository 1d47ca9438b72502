/** The backplane of a fleet of one. */
@NullMarked
package io.conexor.backplane.memory;

import org.jspecify.annotations.NullMarked;
