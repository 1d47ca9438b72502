/**
 * Turns feature files and Maven artifacts into the directory of a distribution, at build time only.
 */
@NullMarked
package io.conexor.features;

import org.jspecify.annotations.NullMarked;
