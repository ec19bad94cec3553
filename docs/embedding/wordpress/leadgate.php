<?php
/**
 * Plugin Name: Leadgate
 * Description: Shows a Leadgate form where an editor writes [leadgate form="kontakt"].
 * Version: 1.0
 * Requires PHP: 7.4
 * License: MIT
 */

defined('ABSPATH') || exit;

// In wp-config.php: define('LEADGATE_URL', 'https://forms.example.se');
defined('LEADGATE_URL') || define('LEADGATE_URL', 'https://forms.example.se');

/**
 * [leadgate form="objekt" lang="sv" receiver="anna" field_objectreference="TV-1042"]Ring 08-465 00 44[/leadgate]
 *
 * WordPress takes script elements out of what editors write, and makes attribute names lower-case.
 */
function leadgate_shortcode($attributes, $content = ''): string
{
    $attributes = is_array($attributes) ? $attributes : [];
    $form = $attributes['form'] ?? 'kontakt';
    if (!preg_match('/^[a-z0-9_-]+$/', $form)) {
        return '';
    }
    wp_enqueue_script('leadgate', LEADGATE_URL . '/embed/v1.js', [], null, ['strategy' => 'async', 'in_footer' => true]);

    $lang = $attributes['lang'] ?? substr(get_locale(), 0, 2);
    $html = '<div data-leadgate-form="' . esc_attr($form) . '" data-leadgate-lang="' . esc_attr($lang) . '"';
    foreach ($attributes as $name => $value) {
        // An attribute without a value, such as gtag, comes as a value without a name.
        if (is_int($name)) {
            [$name, $value] = [strtolower($value), ''];
        }
        if (preg_match('/^(receiver|gtag|value|currency|lead_source|datalayer|remember|kiosk|height|field_[a-z0-9_]+)$/', $name)) {
            $html .= ' data-leadgate-' . str_replace('_', '-', $name) . '="' . esc_attr($value) . '"';
        }
    }
    $link = '<a href="' . esc_url(LEADGATE_URL . '/f/' . $form) . '">' . esc_html__('Contact us', 'leadgate') . '</a>';
    return $html . '>' . ($content !== '' ? wp_kses_post($content) : $link) . '</div>';
}

add_shortcode('leadgate', 'leadgate_shortcode');
