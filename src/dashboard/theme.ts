import { Alert, Badge, type CSSVariablesResolver, createTheme, Modal } from "@mantine/core";

export const theme = createTheme({
  primaryColor: "indigo",
  // Dark enough for white text on it: WCAG 2.2, 1.4.3.
  primaryShade: { light: 7, dark: 8 },
  autoContrast: true,
  defaultRadius: "md",
  components: {
    Alert: Alert.extend({ styles: { title: { color: "var(--mantine-color-text)" } } }),
    // Capitals are harder to read, and some labels are sentences.
    Badge: Badge.extend({ defaultProps: { tt: "none", fw: 500 } }),
    Modal: Modal.extend({
      defaultProps: {
        closeButtonProps: { "aria-label": "Close" },
        // A page has one banner, and a dialog's head is none.
        attributes: { header: { role: "presentation" } },
      },
    }),
  },
});

/** The library's own are too pale to read, by the same rule. */
export const cssVariables: CSSVariablesResolver = ({ colors }) => ({
  variables: {},
  light: {
    "--mantine-color-dimmed": colors.gray[7],
    "--mantine-color-placeholder": colors.gray[6],
    "--mantine-color-anchor": colors.indigo[8],
  },
  dark: {
    "--mantine-color-dimmed": colors.dark[1],
    "--mantine-color-placeholder": colors.dark[2],
    "--mantine-color-anchor": colors.indigo[3],
  },
});
